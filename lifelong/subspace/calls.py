"""Which calls of torch are linear maps of a parameter, and how: the only place that knows torch's functions by name.

A reader turns the arguments of one call into the weights that it used. What no reader knows is not understood, and
what is not understood is frozen by the caller: no parameter is left out in silence.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.subspace.recurrent import FUSED, fused
from lifelong.subspace.use import Call, Geometry, Known, Patches, Reader, Use, conv_padding, each


def _linear(given: dict[str, Any], known: Known) -> Iterator[Call]:
    weight, inputs, bias = given["weight"], given["input"], given.get("bias")
    if not known(inputs):
        yield Call(weight, bias, Use(Geometry(1, weight.shape[0], weight.shape[1]), inputs.detach(), bias is not None))


def _product(left: Tensor, right: Tensor, known: Known) -> Iterator[Call]:
    if known(left) == known(right):  # a product of two parameters is no map of data
        return
    if known(right):
        weight, inputs = right, left.detach()
    elif left.ndim == 2:
        weight, inputs = left.T, (right.detach().mT if right.ndim > 1 else right.detach())
    elif left.ndim == 3 and right.ndim == 3:
        weight, inputs = left.mT, right.detach().mT
    else:
        return
    if weight.ndim == 2:
        yield Call(weight, None, Use(Geometry(1, weight.shape[1], weight.shape[0], True), inputs, False))
    elif weight.ndim == 3 and inputs.ndim == 3 and inputs.shape[0] == weight.shape[0]:
        geometry = Geometry(weight.shape[0], weight.shape[2], weight.shape[1], True)
        yield Call(weight, None, Use(geometry, inputs, False))


def _matmul(given: dict[str, Any], known: Known) -> Iterator[Call]:
    second = next(given[name] for name in ("other", "mat2", "tensor2") if name in given)
    yield from _product(given["input"], second, known)


def _rmatmul(given: dict[str, Any], known: Known) -> Iterator[Call]:
    yield from _product(given["other"], given["input"], known)


def _addmm(given: dict[str, Any], known: Known) -> Iterator[Call]:
    if given.get("beta", 1) != 1 or given.get("alpha", 1) != 1 or known(given["mat1"]):
        return
    for call in _product(given["mat1"], given["mat2"], known):
        yield Call(call.weight, given["input"], replace(call.use, has_bias=True))


def _einsum(given: dict[str, Any], known: Known) -> Iterator[Call]:
    """Products of data with one matrix, such as "bti,io->bto": one label is summed over, one is new."""
    one, other = given["one"], given.get("other")
    if isinstance(one, (tuple, list)) and len(one) == 2:
        one, other = one
    terms, arrow, result = given["equation"].replace(" ", "").partition("->")
    labels = terms.split(",")
    if not torch.is_tensor(other) or known(one) == known(other) or len(labels) != 2 or not arrow or "." in terms:
        return
    (weight, its), (data, theirs) = (
        ((one, labels[0]), (other, labels[1])) if known(one) else ((other, labels[1]), (one, labels[0]))
    )
    summed = [x for x in its if x not in result]
    new = [x for x in its if x in result and x not in theirs]
    if len(its) != 2 or len(summed) != 1 or len(new) != 1 or len(set(theirs)) < len(theirs):
        return
    if set(theirs) != set(result) - set(new) | set(summed):
        return
    rows = data.detach().movedim(theirs.index(summed[0]), -1)
    turned = its[0] == summed[0]
    outputs, inputs = (weight.shape[1], weight.shape[0]) if turned else (weight.shape[0], weight.shape[1])
    yield Call(weight, None, Use(Geometry(1, outputs, inputs, turned), rows, False))


def _conv(given: dict[str, Any], known: Known) -> Iterator[Call]:
    weight, inputs, bias = given["weight"], given["input"], given.get("bias")
    dims = weight.ndim - 2
    if known(inputs):
        return
    inputs = inputs.detach() if inputs.ndim == weight.ndim else inputs.detach()[None]
    kernel, dilation = tuple(weight.shape[2:]), each(given.get("dilation", 1), dims)
    padding = conv_padding(given.get("padding", 0), kernel, dilation)
    patches = Patches(kernel, each(given.get("stride", 1), dims), padding, dilation)
    groups = int(given.get("groups", 1))
    geometry = Geometry(groups, weight.shape[0] // groups, weight[0].numel())
    yield Call(weight, bias, Use(geometry, inputs, bias is not None, patches))


def _conv_transpose(given: dict[str, Any], known: Known) -> Iterator[Call]:
    weight, inputs = given["weight"], given["input"]
    if known(inputs):
        return
    inputs = inputs.detach() if inputs.ndim == weight.ndim else inputs.detach()[None]
    groups = int(given.get("groups", 1))
    geometry = Geometry(groups, weight[0].numel(), weight.shape[0] // groups, transposed=True)
    # Its bias is added once to each output, not once to each product with the weight: it is no input of this map.
    yield Call(weight, None, Use(geometry, inputs, False, channels=True))


def _embedding(given: dict[str, Any], known: Known) -> Iterator[Call]:
    weight, indices = given["weight"], given["input"]
    if known(indices):
        # F.embedding_bag also takes (weight, indices), the order of old.
        weight, indices = indices, weight
    yield Call(weight, None, _lookup(weight, indices))


def _item(given: dict[str, Any], known: Known) -> Iterator[Call]:
    table, index = given["input"], given["index"]
    numbers = torch.is_tensor(index) and not index.is_floating_point() and index.dtype != torch.bool
    if numbers and known(table) and table.ndim == 2:
        yield Call(table, None, _lookup(table, index))


def _lookup(table: Tensor, indices: Tensor) -> Use:
    # Negative ones count from the end, as torch reads them.
    return Use(Geometry(1, table.shape[0], table.shape[1], lookup=True), indices.detach().flatten() % len(table), False)


def _attention(given: dict[str, Any], known: Known) -> Iterator[Call]:
    """q, k and v meet their rows of one weight: what any of them sees is kept for all three."""
    query, key, value = given["query"], given["key"], given["value"]
    packed = not given.get("use_separate_proj_weight", False)
    weights = [given["in_proj_weight"]] * 3 if packed else [given[f"{name}_proj_weight"] for name in ("q", "k", "v")]
    bias = given.get("in_proj_bias") if packed else None
    same = packed and key is value and query is key
    for weight, inputs in list(zip(weights, (query, key, value), strict=True))[: 1 if same else 3]:
        geometry = Geometry(1, weight.shape[0], weight.shape[1])
        yield Call(weight, bias, Use(geometry, inputs.detach(), bias is not None))
    out, out_bias = given["out_proj_weight"], given.get("out_proj_bias")
    if known(out):
        # With the identity for its last map, the same call says what that map is given; the same chance, if any.
        asked = dict(given, out_proj_weight=torch.eye(len(out)).to(query), out_proj_bias=None, need_weights=False)
        devices = [query.device] if query.is_cuda else []
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            answers = F.multi_head_attention_forward(**asked)[0]
        yield Call(out, out_bias, Use(Geometry(1, *out.shape), answers.detach(), out_bias is not None))


def _cell(given: dict[str, Any], known: Known) -> Iterator[Call]:
    hidden = given["hx"][0] if isinstance(given["hx"], (tuple, list)) else given["hx"]
    for weight, bias, inputs in (("w_ih", "b_ih", given["input"]), ("w_hh", "b_hh", hidden)):
        kept = given.get(bias)
        geometry = Geometry(1, *given[weight].shape)
        yield Call(given[weight], kept, Use(geometry, inputs.detach(), kept is not None))


_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_CONV_T = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_CELL = ("input", "hx", "w_ih", "w_hh", "b_ih", "b_hh")
_ATTENTION = tuple(inspect.signature(F.multi_head_attention_forward).parameters)

READERS: dict[Any, tuple[Reader, tuple[str, ...]]] = (
    {
        F.linear: (_linear, ("input", "weight", "bias")),
        torch.matmul: (_matmul, ("input", "other")),
        Tensor.matmul: (_matmul, ("input", "other")),
        Tensor.__matmul__: (_matmul, ("input", "other")),
        Tensor.__rmatmul__: (_rmatmul, ("input", "other")),
        torch.mm: (_matmul, ("input", "mat2")),
        Tensor.mm: (_matmul, ("input", "mat2")),
        torch.addmm: (_addmm, ("input", "mat1", "mat2")),
        torch.einsum: (_einsum, ("equation", "one", "other")),
        torch.bmm: (_matmul, ("input", "mat2")),
        Tensor.bmm: (_matmul, ("input", "mat2")),
        F.embedding: (_embedding, ("input", "weight")),
        F.embedding_bag: (_embedding, ("input", "weight")),
        Tensor.__getitem__: (_item, ("input", "index")),
        F.multi_head_attention_forward: (_attention, _ATTENTION),
        torch.lstm_cell: (_cell, _CELL),
        torch.gru_cell: (_cell, _CELL),
        torch.rnn_tanh_cell: (_cell, _CELL),
        torch.rnn_relu_cell: (_cell, _CELL),
    }
    | {f: (fused(f), FUSED) for f in (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)}
    | {
        f: reading
        for name, reading in (("conv", (_conv, _CONV)), ("conv_transpose", (_conv_transpose, _CONV_T)))
        for dims in (1, 2, 3)
        for f in (getattr(F, f"{name}{dims}d"), getattr(torch, f"{name}{dims}d"))
    }
)

CASTS = {
    Tensor.to, Tensor.float, Tensor.half, Tensor.bfloat16, Tensor.double, Tensor.type_as, Tensor.type,
    Tensor.clone, Tensor.contiguous, torch.clone, Tensor.cpu, Tensor.cuda,
}  # fmt: skip
"""Calls whose result is the same weight again, in other memory."""


def read(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], known: Known) -> list[Call] | None:
    """The uses that a call makes of known tensors; None where it is no linear map that we know."""
    if func not in READERS:
        return None
    reader, names = READERS[func]
    if len(args) > len(names):
        args = args[: len(names)]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    if "self" in given:
        given["input"] = given.pop("self")
    calls = [call for call in reader(given, known) if known(call.weight)]
    return calls or None
