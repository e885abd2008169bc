"""Retention methods at work on one lane of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lifelong.assembly import Assembly
from lifelong.retention.method import Retention
from lifelong.retention.model import Model
from lifelong.retention.retained import Retained


def remind(
    assembly: Assembly,
    lane: str,
    named: Callable[[], dict[str, nn.Parameter]],
    methods: Sequence[Retention],
    seed: int,
) -> Retained | None:
    """The methods, on what this lane answers and trains; None for no methods."""
    if not methods:
        return None

    def features(module: nn.Module, inputs: Tensor) -> Tensor:
        # Of the network itself, or of a copy of what it was.
        assert isinstance(module, Assembly)
        return module.features(inputs, lane)

    return Retained(Model(assembly, named, lambda contract, task: (contract, lane, task), features), methods, seed)
