"""Fixed features of a state (and of an action, where actions are numbers), in which a world's law is nearly linear.

K members of an ensemble, B rows, D inputs, F features: a constant, the inputs, their products where they are few, and
random Fourier features (Rahimi & Recht 2007), which differ from member to member.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lifelong.acting.encoding import Rows

FEW = 8
"""Inputs of which all products are taken."""
MOST_PAIRS = 96
"""Products of a state's and an action's numbers."""
CLIP = 8.0
"""Standard deviations beyond which an input is not told apart any more: nothing is known there."""
REACHES = (0.7, 1.5, 3.0)
"""How far apart two states must be to be told apart, for each member in turn: in standard deviations."""


class Features:
    """(B, D) rows in any unit -> (K, B, F) features. Units are learned from the rows that `fit` is given.

    pairs: how many numbers of a row are the state's, and how many the action's (None: all are the state's).
    """

    def __init__(self, width: int, members: int, waves: int, seed: int, pairs: tuple[int, int] | None = None) -> None:
        draw = np.random.default_rng(seed)
        self._width, self._waves = width, waves
        reach = np.resize(REACHES, members)[:, None, None] * np.sqrt(width)
        self._turn = draw.standard_normal((members, width, waves)) / reach
        self._phase = draw.uniform(0.0, 2.0 * np.pi, (members, 1, waves))
        if width <= FEW:
            self._left, self._right = np.triu_indices(width)
        elif pairs is not None and pairs[0] * pairs[1] <= MOST_PAIRS:
            grid = np.indices(pairs).reshape(2, -1)
            self._left, self._right = grid[0], grid[1] + pairs[0]
        else:
            self._left = self._right = np.empty(0, dtype=np.int64)
        self.members, self.count = members, 1 + width + len(self._left) + waves
        self._centre, self._unit = np.zeros(width), np.ones(width)

    def fit(self, rows: Rows) -> None:
        """Learn the units."""
        self._centre, spread = rows.mean(0), rows.std(0)
        # What never moved so far may move yet: it gets the middling unit of the others.
        moving = spread[spread > 1e-8]
        self._unit = np.where(spread > 1e-8, spread, np.median(moving) if len(moving) else 1.0)

    def __call__(self, rows: Rows) -> Rows:
        x = np.clip((rows - self._centre) / self._unit, -CLIP, CLIP)
        made = np.empty((self.members, len(x), self.count))
        last = self.count - self._waves
        made[:, :, 0] = 1.0
        made[:, :, 1 : 1 + self._width] = x
        made[:, :, 1 + self._width : last] = x[:, self._left] * x[:, self._right]
        np.cos(np.matmul(x, self._turn) + self._phase, out=made[:, :, last:])
        return made

    def state_dict(self) -> dict[str, Any]:
        return {"centre": self._centre.tolist(), "unit": self._unit.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._centre, self._unit = np.array(state["centre"]), np.array(state["unit"])
