"""A world of one's own: a ferry crosses a tidal river, and is to land where the people wait."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

View = NDArray[np.float32]
WAY = 40
"""Steps across, whatever the helmsman does."""


class Ferry(gymnasium.Env[View, np.int64]):
    """The helm turns the ferry to one side (0) or the other (2), or keeps it ahead (1).

    Sees how far across and how far along the river the ferry is. The current cannot be seen: it shows in how the ferry
    drifts. At the far bank it is stronger than the helm, so the way is to steer against it early. An episode returns 1
    for a landing at the people's feet, less the farther they have to walk, and is a success if that is not far.
    """

    def __init__(self, current: float = 0.085, helm: float = 0.03, gusts: float = 0.001) -> None:
        self.current, self.helm, self.gusts = current, helm, gusts
        self.observation_space = gymnasium.spaces.Box(np.float32([0, -np.inf]), np.float32([1, np.inf]))
        self.action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[View, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps, self._along = 0, self.np_random.uniform(-0.2, 0.2)
        return self._view(), {}

    def step(self, action: np.int64) -> tuple[View, float, bool, bool, dict[str, Any]]:
        drift = self.current * (0.1 + (self._steps / WAY) ** 4) + self.gusts * self.np_random.standard_normal()
        self._along += self.helm * (int(action) - 1) + drift
        self._steps += 1
        landed, walk = self._steps == WAY, abs(self._along)
        return self._view(), 1.0 - 4.0 * walk if landed else 0.0, landed, False, {"success": landed and walk < 0.25}

    def _view(self) -> View:
        return np.array([self._steps / WAY, self._along], np.float32)
