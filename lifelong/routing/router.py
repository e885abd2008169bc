"""The contract of a router: given unlabelled inputs, which expert knows their world?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Match:
    """For each of B inputs: the best expert (B,) int64, and whether it is known to it at all (B,) bool."""

    experts: Tensor
    known: Tensor


@runtime_checkable
class Router(Protocol):
    """Remembers what each expert's inputs look like. Adding or removing an expert touches no other expert's memory."""

    def describe(self, inputs: Tensor) -> dict[str, Tensor]:
        """(N, ...) inputs of one expert -> what is worth remembering of them. Changes nothing."""
        ...

    def route(self, inputs: Tensor, known: Sequence[tuple[int, dict[str, Tensor]]]) -> Match:
        """(B, ...) inputs, and (expert, description) of those who may answer, most recent first -> who answers.

        Where two explain a sample equally well, the earlier in `known` is taken.
        """
        ...
