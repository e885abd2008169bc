"""What of the past stands beside a row: how it differs from the recent level of its columns, and the latest labels.

D columns, C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Vector = NDArray[np.float64]

LIMIT = 5.0
"""Deviations from the mean that a column may count: one broken sensor must not outshout a table."""


class Recall:
    """Adds to a standardised row (D,) its difference from its running level at each of `levels` (a horizon in rows).

    A level of horizon h is the mean of the rows before, each weighing 1 - 1/h of the next one: h = 1 is the row before.
    With `labels` the latest so many labels stand beside, one-hot, zeros where there is none yet. Only rows that were
    taken in (`take`) are ever looked at, so a row is described by its past.
    """

    def __init__(self, columns: int, classes: int, levels: tuple[int, ...] = (1, 8, 64), labels: int = 1) -> None:
        if any(level < 1 for level in levels) or labels < 0:
            raise ValueError(f"levels must be 1 row or more and labels 0 or more, got {list(levels)} and {labels}.")
        self._rates: Vector = 1.0 / np.array(levels, dtype=np.float64)[:, None]
        self._levels: Vector = np.zeros((len(levels), columns))
        self._weights: Vector = np.zeros((len(levels), 1))
        self._labels: Vector = np.zeros((labels, classes))
        self.features = columns * (1 + len(levels)) + labels * classes

    def describe(self, rows: Vector) -> Vector:
        """(B, D) -> (B, features), each row as if it came next: itself, how it differs from levels, labels."""
        away = rows[:, None] - self._levels / np.maximum(self._weights, 1e-300)
        if not self._weights.all():
            # Before the first row there is no level to differ from.
            away[:] = 0.0
        away = away.reshape(len(rows), -1)
        seen = np.concatenate([rows, away], axis=1).clip(-LIMIT, LIMIT)
        labels = np.broadcast_to(self._labels.reshape(1, -1), (len(rows), self._labels.size))
        described: Vector = np.concatenate([seen, labels], axis=1)
        return described

    def take(self, row: Vector, label: int) -> None:
        """The row's label is known: it is the past from now on."""
        self._levels += self._rates * (row - self._levels)
        self._weights += self._rates * (1.0 - self._weights)
        if len(self._labels):
            self._labels[1:] = self._labels[:-1].copy()
            self._labels[0] = 0.0
            self._labels[0, label] = 1.0

    def state_dict(self) -> dict[str, Any]:
        names = {"levels": self._levels, "weights": self._weights, "labels": self._labels}
        return {name: torch.from_numpy(values.copy()) for name, values in names.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._levels, self._weights, self._labels = (
            state[name].numpy().copy() for name in ("levels", "weights", "labels")
        )
