"""Batches that ask for the same kind of answer, put together; and those that one head answers, asked together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lifelong.experience import Batch
from lifelong.objective import Contract
from lifelong.retention.model import Model

Head = tuple[Contract, "str | None"]
"""What a head is for: a contract, whatever outputs it allows, and the task where each has a head of its own."""


def head_of(contract: Contract, task: str | None) -> Head:
    """A task's name says nothing where tasks share a head."""
    bare = contract if contract.mask is None else replace(contract, mask=None)
    return bare, task if contract.own_head else None


def by_head(batches: Sequence[Batch]) -> dict[Head, list[int]]:
    """The places of the batches that one head answers, for each head."""
    found: dict[Head, list[int]] = {}
    for place, batch in enumerate(batches):
        found.setdefault(head_of(batch.contract, batch.task), []).append(place)
    return found


def answers(model: Model, batches: Sequence[Batch]) -> list[Tensor]:
    """The (B, C) outputs of each batch, with a graph: one pass for all that share a head.

    So a BatchNorm sees the same samples whether their tasks are told or not. A sample that is alone in its pass has no
    statistics: it is normalised by the running ones.
    """
    found: dict[int, Tensor] = {}
    for (contract, task), places in by_head(batches).items():
        inputs = torch.cat([batches[place].inputs for place in places])
        with _norms_at_rest(model) if len(inputs) == 1 else nullcontext():
            outputs = model.outputs(inputs, contract, task)
        sizes = [len(batches[place].targets) for place in places]
        for place, part in zip(places, torch.split(outputs, sizes), strict=True):
            found[place] = batches[place].contract.restrict(part)
    return [found[place] for place in range(len(batches))]


@contextmanager
def _norms_at_rest(model: Model) -> Iterator[None]:
    training = [norm for norm in model.module.modules() if isinstance(norm, _BatchNorm) and norm.training]
    for norm in training:
        norm.eval()
    try:
        yield
    finally:
        for norm in training:
            norm.train()


def merged(batches: Sequence[Batch]) -> list[Batch]:
    """One batch for each kind."""
    kinds: list[list[Batch]] = []
    for batch in batches:
        like = next((k for k in kinds if k[0].contract == batch.contract and k[0].task == batch.task), None)
        if like is None:
            kinds.append([batch])
        else:
            like.append(batch)
    return [
        Batch(torch.cat([b.inputs for b in k]), torch.cat([b.targets for b in k]), k[0].contract, k[0].task)
        for k in kinds
    ]
