"""Environments that fail, in the ways in which environments fail."""

from __future__ import annotations

import os
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


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


class Faulty(gymnasium.Env[Any, Any]):
    """Episodes of 20 steps, each of which pays 1. One that begins with a draw below `often` fails at its step `at`.

    `how`: see `_given`; "reset" fails at the begin. `often` is 0 at first: set from outside, so that a world is sound
    as it is looked at.
    """

    def __init__(self, how: str = "", at: int = 5, named: bool = False) -> None:
        box = Box(-1.0, 1.0, (3,), np.float32)
        self.observation_space = Dict({"x": box, "y": box}) if named else box
        self.action_space = Discrete(2)
        self.how, self.at, self.named = how, at, named
        self.often, self.steps, self.fails = 0.0, 0, False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps, self.fails = 0, bool(self.np_random.random() < self.often)
        if self.fails and self.how == "reset":
            raise KeyError("no start")
        return self.seen(), {"pid": os.getpid()}

    def step(self, action: int) -> tuple[Any, Any, Any, bool, Any]:
        self.steps += 1
        given = self.seen(), 1.0, self.steps >= 20, False, {"pid": os.getpid()}
        return self._given(*given) if self.fails and self.steps == self.at else given

    def _given(self, seen: Any, reward: Any, ended: Any, cut: Any, info: Any) -> tuple[Any, Any, Any, bool, Any]:
        first = seen["x"] if self.named else seen
        match self.how:
            case "raises":
                raise ZeroDivisionError("nothing left")
            case "leaves":
                raise SystemExit(3)
            case "nan":
                first[1] = np.nan
            case "inf reward":
                reward = np.inf
            case "no reward":
                reward = None
            case "shape":
                seen = seen[:2]
            case "dtype":
                seen = seen.astype(complex)
            case "done":
                ended = "no"
            case "missing":
                del seen["y"]
            case "info":
                info = None
            case "four":
                return seen, reward, ended, cut  # type: ignore[return-value]
            case "hangs":
                time.sleep(30)
            case "dies":
                os._exit(7)
        return seen, reward, ended, cut, info

    def seen(self) -> Any:
        shown = {key: self.np_random.random(3, np.float32) for key in "xy"}  # type: ignore[attr-defined]
        return shown if self.named else shown["x"]


class Reusing(Faulty):
    """Shows the same array again and again, and writes into it."""

    def seen(self) -> Any:
        if not hasattr(self, "shown"):
            self.shown = np.zeros(3, np.float32)
        self.shown[:] = self.steps / 100
        return self.shown


class Dying(Faulty):
    """Sound for so many steps of all there are, and then broken until somebody mends it."""

    left = 10**9

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._live(0)
        return super().reset(seed=seed)

    def step(self, action: int) -> tuple[Any, Any, Any, bool, Any]:
        self._live(1)
        return super().step(action)

    def _live(self, steps: int) -> None:
        if Dying.left <= 0:
            raise ConnectionError("the simulator is gone")
        Dying.left -= steps
