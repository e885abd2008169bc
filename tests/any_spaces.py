"""Worlds of any spaces, for tests of who looks at spaces."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Anything(gymnasium.Env[Any, Any]):
    """Shows samples of its space; pays `sign` times a sum over what it shows, plus one over the action."""

    def __init__(self, observation_space: Any, action_space: Any, sign: float = 1.0, length: int = 20) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.sign, self.length, self.steps = sign, length, 0
        self.observation: Any = None
        self.actions: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.steps, self.observation = 0, self.observation_space.sample()
        return self.observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.actions.append(action)
        pay = self.sign * (total(self.observation_space, self.observation) + total(self.action_space, action))
        self.steps, self.observation = self.steps + 1, self.observation_space.sample()
        return self.observation, pay, False, self.steps == self.length, {}


def total(space: Any, value: Any) -> float:
    """A number of order 1."""
    if isinstance(space, spaces.Dict):
        return sum(total(space[key], value[key]) for key in space)
    if isinstance(space, spaces.Discrete):
        return float(value - space.start) / int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return float(np.mean((value - space.start) / space.nvec))
    unit = 255.0 if value.dtype == np.uint8 else 1.0
    return float(np.mean(value / unit))
