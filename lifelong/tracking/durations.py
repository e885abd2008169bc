"""How long a label lasts: an expert that knows nothing but the labels so far. C classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class Durations:
    """The last label stays or goes, with the chance that it had so far after a run of this length.

    The chance to go after r equal labels is counted over all classes (discrete hazard), beginning with `prior` rows at
    the overall chance; runs longer than `longest` are counted together. A label that goes leaves all others equally
    likely. Where the chance stays below one half, the answer is that of the dummy that repeats the last label.
    """

    def __init__(self, classes: int, longest: int = 64, prior: float = 2.0) -> None:
        if classes < 2 or longest < 1 or not prior > 0.0:
            raise ValueError(
                f"Durations needs 2 or more classes, longest >= 1 and prior > 0, got classes={classes}, "
                f"longest={longest}, prior={prior}."
            )
        self._classes, self._prior = classes, prior
        self._stood: Vector = np.zeros(longest)
        self._went: Vector = np.zeros(longest)
        self._last, self._run = -1, 0

    def answer(self) -> Vector:
        """(C,) chances of the next label; equal ones where there was no label yet."""
        if self._last < 0:
            return np.full(self._classes, 1.0 / self._classes)
        stood, went = float(self._stood.sum()), float(self._went.sum())
        overall = (went + 1.0) / (stood + went + 2.0)
        at = self._run
        goes = (self._went[at] + self._prior * overall) / (self._went[at] + self._stood[at] + self._prior)
        chances = np.full(self._classes, goes / (self._classes - 1))
        chances[self._last] = 1.0 - goes
        return chances

    def learn(self, label: int) -> None:
        """The next label is known."""
        if self._last >= 0:
            (self._stood if label == self._last else self._went)[self._run] += 1.0
        self._run = min(self._run + 1, len(self._stood) - 1) if label == self._last else 0
        self._last = label

    def state_dict(self) -> dict[str, Any]:
        stood, went = torch.from_numpy(self._stood.copy()), torch.from_numpy(self._went.copy())
        return {"stood": stood, "went": went, "last": self._last, "run": self._run}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._stood, self._went = state["stood"].numpy().copy(), state["went"].numpy().copy()
        self._last, self._run = state["last"], state["run"]
