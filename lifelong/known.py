"""What is remembered of the world that an expert knows."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Normal:
    """What an expert's loss is like in its own world: mean and spread of the losses of single batches."""

    mean: float
    spread: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """How inputs of one shape looked while an expert learned them, as a router describes it.

    rivals: numbers of experts that learned inputs which look the same; of rivals the latest answers.
    """

    shape: tuple[int, ...]
    description: dict[str, Tensor]
    rivals: set[int] = field(default_factory=set)
