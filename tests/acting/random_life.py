"""What a random policy sees of a world, for tests of what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from lifelong.interaction import Transitions

LANES = 4


def random_life(
    env: str | Callable[[], Any], steps: int, seed: int = 0, lanes: int = LANES, swap: bool = False, **attributes: Any
) -> Transitions:
    """`steps` transitions in all, lane by lane within a step. swap: two actions change places; attributes are set."""
    made = [gymnasium.make(env) if isinstance(env, str) else env() for _ in range(lanes)]
    for lane in made:
        for name, value in attributes.items():
            setattr(lane.unwrapped, name, value)
    observations = [lane.reset(seed=seed + i)[0] for i, lane in enumerate(made)]
    made[0].action_space.seed(seed)
    rows: list[tuple[Any, ...]] = []
    for _ in range(steps // lanes):
        for i, lane in enumerate(made):
            action = made[0].action_space.sample()
            after, reward, terminated, truncated, _ = lane.step(1 - action if swap else action)
            rows.append((observations[i], action, reward, after, terminated, truncated))
            observations[i] = lane.reset()[0] if terminated or truncated else after
    before, actions, rewards, after, ended, cut = zip(*rows, strict=True)
    return Transitions(
        stacked(before),
        np.array(actions),
        np.array(rewards, np.float32),
        stacked(after),
        np.array(ended),
        np.array(cut),
    )


def stacked(observations: Any) -> Any:
    if isinstance(observations[0], dict):
        return {key: np.stack([o[key] for o in observations]) for key in observations[0]}
    return np.stack(observations)
