"""Environments whose every step says in which world it was taken."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Telltale(gymnasium.Env[Any, Any]):
    """Shows [step of the episode, sum of actions, a random number]; the reward is `gain`, an episode `length` steps."""

    def __init__(self, length: int = 5, gain: float = 1.0, actions: int = 2, render_mode: str | None = None) -> None:
        self.observation_space = Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = Discrete(actions)
        self.length, self.gain, self.render_mode = length, gain, render_mode
        self.nested = {"x": 1}
        self.weights = np.array([1.0, 2.0])
        self.taken: list[int] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.taken = []
        return self._seen(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.taken.append(int(action))
        return self._seen(), self.gain, len(self.taken) >= self.length, False, {}

    def _seen(self) -> Any:
        return np.array([len(self.taken), sum(self.taken), self.np_random.random()], np.float32)


class Ageing(Telltale):
    """Shows how many episodes it has had since it was seeded, which no generator tells."""

    age = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.age = 0 if seed is not None else self.age + 1
        return super().reset(seed=seed)

    def _seen(self) -> Any:
        return np.array([len(self.taken), self.age, 0], np.float32)


class Pushed(gymnasium.Env[Any, Any]):
    """Shows the action that it was given, which is a vector with ranges of its own."""

    def __init__(self, low: tuple[float, ...] = (-1.0, -1.0), high: tuple[float, ...] = (1.0, 1.0)) -> None:
        self.action_space = Box(np.array(low, np.float32), np.array(high, np.float32))
        self.observation_space = Box(-100.0, 100.0, (len(low),), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(self.action_space.shape or (), np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        return action.copy(), 0.0, False, False, {}


class Broken(Telltale):
    """Shows more than its space allows."""

    def _seen(self) -> Any:
        return np.zeros(4, np.float32)


class Doubled(gymnasium.ObservationWrapper[Any, Any, Any]):
    """A view that shows everything twice as large."""

    def observation(self, observation: Any) -> Any:
        return 2 * observation


class Picky(Telltale):
    """Takes one of two views by its name."""

    def __init__(self, view: str = "box") -> None:
        super().__init__(**{"box": {}, "other": {}}[view])
