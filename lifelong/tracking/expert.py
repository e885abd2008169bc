"""An expert of a tracker: a regression whose outputs are taken for chances. B rows, C classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.tracking.recursive_ridge import RecursiveRidge

Vector = NDArray[np.float64]

FLOOR = 0.02
"""The least that a regression's output counts as a chance: least squares knows no bounds."""


@dataclass(slots=True)
class Expert:
    """A regression on the past and present of a row (`recalls`), or on its present alone."""

    number: int
    recalls: bool
    ridge: RecursiveRidge

    def opinion(self, seen: tuple[Vector, Vector]) -> Vector:
        """(B, C) chances, from what is seen of the rows without and with the past."""
        chances: Vector = self.ridge.answer(seen[self.recalls]).clip(FLOOR)
        chances /= chances.sum(-1, keepdims=True)
        return chances

    def state_dict(self) -> dict[str, Any]:
        ridge = self.ridge
        settings = (ridge.forgetting, ridge.ridge)
        return {"number": self.number, "recalls": self.recalls, "settings": settings, "ridge": ridge.state_dict()}

    @staticmethod
    def restored(state: dict[str, Any]) -> Expert:
        ridge = RecursiveRidge(*state["ridge"]["weights"].shape, *state["settings"])
        ridge.load_state_dict(state["ridge"])
        return Expert(state["number"], state["recalls"], ridge)
