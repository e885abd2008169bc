"""Reads the fused calls of recurrent layers: which rows each weight of each layer has multiplied, at all steps.

Only the last layer's answers leave such a call. Running it again, one layer at a time, gives every layer's inputs and
hidden states; a weight on hidden states has seen the first one, and then each answer that another step follows.
Shapes: T steps, B sequences, N rows of all of them, laid out as in a packed sequence: step by step, `sizes` rows each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.subspace.use import Call, Geometry, Known, Reader, Use

FUSED = tuple(f"argument {i}" for i in range(9))
"""Arguments are given by their places: (inputs, state, weights, ...), or (rows, sizes, state, weights, ...)."""


def fused(run: Callable[..., Any]) -> Reader:
    """The reader of torch.lstm, gru, rnn_tanh or rnn_relu."""

    def reader(given: dict[str, Any], known: Known) -> Iterator[Call]:
        if set(given) != set(FUSED):
            return
        first, second, *rest = (given[name] for name in FUSED)
        if isinstance(rest[1], (list, tuple)):  # a packed sequence
            rows, sizes, state, (weights, biased, layers, dropout, training, both) = first, second, rest[0], rest[1:]
        else:
            state, (weights, biased, layers, dropout, training, both, batch_first) = second, rest
            steps = first.transpose(0, 1) if batch_first else first
            rows, sizes = steps.flatten(0, 1), torch.full((steps.shape[0],), steps.shape[1])
        ways = 2 if both else 1
        each = len(weights) // (layers * ways)
        states = [s.detach() for s in (state if isinstance(state, (list, tuple)) else (state,))]
        inputs = rows.detach()
        devices = [inputs.device] if inputs.is_cuda else []
        # Without cuDNN, which would have the weights of one layer side by side in memory.
        plain = torch.backends.cudnn.flags(enabled=False)
        with torch.random.fork_rng(devices=devices), torch.no_grad(), plain:
            for layer in range(layers):
                mine = weights[layer * ways * each : (layer + 1) * ways * each]
                begun = [s[layer * ways : (layer + 1) * ways] for s in states]
                hx = begun if isinstance(state, (list, tuple)) else begun[0]
                outputs = run(inputs, sizes, hx, mine, biased, 1, 0.0, False, both)[0]
                for way, answers in enumerate(outputs.chunk(ways, dim=-1)):
                    hidden = torch.cat([begun[0][way], _followed(answers, sizes, backward=way == 1)])
                    yield from _uses(mine[way * each : (way + 1) * each], biased, inputs, hidden)
                # The same chance as in the call itself, wherever its noise comes from torch's own generator.
                inputs = F.dropout(outputs, dropout, training) if dropout and layer < layers - 1 else outputs

    return reader


def _followed(answers: Tensor, sizes: Tensor, backward: bool) -> Tensor:
    """The rows of (N, H) answers that a further step has seen as its hidden state."""
    counts = sizes.tolist()
    if backward:
        return answers[counts[0] :]
    steps = torch.split(answers, counts)
    return torch.cat([answers[:0], *(step[:more] for step, more in zip(steps, counts[1:], strict=False))])


def _uses(weights: list[Tensor], biased: bool, inputs: Tensor, hidden: Tensor) -> Iterator[Call]:
    """Of one layer in one direction. Nothing is said of a projection (`proj_size`): its inputs leave no trace."""
    for place, rows in enumerate((inputs, hidden)):
        weight, bias = weights[place], weights[place + 2] if biased else None
        yield Call(weight, bias, Use(Geometry(1, *weight.shape), rows, biased))
