"""Who lives in lanes, for tests: takes the steps and keeps what they showed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lifelong_envs.rl.lane import Lane
from lifelong_envs.rl.places import look_at
from lifelong_envs.rl.timetable import Change
from lifelong_envs.rl.world import World

Step = tuple[list[float], float, bool, bool]


def telltale(task: str, gain: float, **more: Any) -> World:
    """A world that pays `gain` for each step."""
    return World(task, "toy_worlds:Telltale", set={"gain": gain, **more.pop("set", {})}, **more)


def lane(worlds: Sequence[World], *changes: Change, seed: int = 0) -> Lane:
    return Lane(look_at(worlds), changes, seed)


def live(lane: Any, steps: int, seed: int = 0) -> list[Step]:
    """So many steps, with actions that depend on the seed and the step alone; each episode is begun where due."""
    if lane.observation is None:
        lane.reset()
    shown = []
    for k in range(steps):
        action = act(lane.action_space, seed, k)
        observation, reward, terminated, truncated, _ = lane.step(action)
        shown.append((np.ravel(flat(observation)).tolist(), float(reward), bool(terminated), bool(truncated)))
        if terminated or truncated:
            lane.reset()
    return shown


def act(space: Any, seed: int, k: int) -> Any:
    """The k-th action of a seed."""
    draw = np.random.default_rng([seed, k])
    if hasattr(space, "n"):
        return draw.integers(space.n)
    return draw.uniform(np.maximum(space.low, -2), np.minimum(space.high, 2)).astype(space.dtype)


def flat(observation: Any) -> Any:
    if isinstance(observation, dict):
        return np.concatenate([np.ravel(observation[key]) for key in sorted(observation) if key != "mission"])
    return observation


def rewards(shown: Sequence[Step]) -> list[float]:
    return [reward for _, reward, _, _ in shown]
