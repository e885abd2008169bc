"""What a measure compares batches with: made of a world's first rows, and frozen from then on.

Shapes: B rows of a batch, D numbers each, R rows of the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor

from lifelong.shift.unlabelled.gathering import Gathering
from lifelong.shift.unlabelled.standard import Standard, flat, strangeness

F = TypeVar("F", bound="tuple[Any, ...]")


class Reference(Generic[F]):
    """Leads batches to a measure: through the grace, in units of the reference, and past what cannot be compared.

    grace, rows: as in `Gathering`. fit: (R, D) standardised rows -> what the measure keeps of them. restore: that,
    from the plain tuple that a state holds.
    """

    def __init__(
        self, grace: int, rows: int, fit: Callable[[Tensor], F], restore: Callable[[tuple[Any, ...]], F]
    ) -> None:
        self._gathering, self._fit, self._restore = Gathering(grace, rows), fit, restore
        self._standard: Standard | None = None
        self._fitted: F | None = None

    def observe(self, rows: Tensor, judge: Callable[[Tensor, F], Tensor]) -> float | None:
        """What `judge` says of (B, D) standardised rows; None in the grace, infinite where nothing can be said."""
        rows = flat(rows)
        if self._standard is None or self._fitted is None:
            gathered = self._gathering.take(rows)
            if gathered is not None:
                self._standard = Standard.of(gathered)
                self._fitted = self._fit(self._standard(gathered))
            return None
        if rows.shape[1] != len(self._standard.centre):
            return math.inf
        return strangeness(judge(self._standard(rows), self._fitted), rows)

    def reset(self) -> None:
        self._gathering.reset()
        self._standard = self._fitted = None

    def state_dict(self) -> dict[str, Any]:
        return {
            "gathering": self._gathering.state_dict(),
            "standard": None if self._standard is None else tuple(self._standard),
            "fitted": None
            if self._fitted is None
            else tuple(tuple(part) if isinstance(part, tuple) else part for part in self._fitted),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._gathering.load_state_dict(state["gathering"])
        self._standard = None if state["standard"] is None else Standard(*state["standard"])
        self._fitted = None if state["fitted"] is None else self._restore(state["fitted"])
