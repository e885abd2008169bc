"""An environment that fails at a step of its episode, in one of the ways in which environments fail."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Failing(gymnasium.Env[Any, Any]):
    """Episodes of 50 steps. `how`, at step `at` of the episode: "raises"; "reward" or "observation" is `what`; or
    "reset" raises in the begin of the episode after one of so many steps."""

    def __init__(self, how: str = "", at: int = 7, what: float = np.nan, size: int = 3) -> None:
        self.observation_space, self.action_space = Box(-1.0, 1.0, (size,), np.float32), Discrete(2)
        self.how, self.at, self.what = how, at, what
        self.steps = 0
        # A number that is set from outside, so that a world can be sound and then not.
        self.sound = 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if self.how == "reset" and self.steps >= self.at and not self.sound:
            raise KeyError("no start")
        self.steps = 0
        return self.seen(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        fails = self.steps == self.at and not self.sound
        if fails and self.how == "raises":
            raise ZeroDivisionError("nothing left")
        seen = self.seen()
        if fails and self.how == "observation":
            seen[1] = self.what
        reward = self.what if fails and self.how == "reward" else 1.0
        return seen, reward, self.steps >= 50, False, {}

    def seen(self) -> Any:
        return self.np_random.random(len(self.observation_space.low), np.float32)  # type: ignore[attr-defined]
