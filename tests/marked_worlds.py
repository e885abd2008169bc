"""Lanes whose every step says which step it is and in which world it was taken, and which keep what they showed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from lifelong.interaction import Transitions

GOLDEN = 0.5 * (5**0.5 - 1.0)


class Marked(gymnasium.Env[Any, Any]):
    """Shows [position, mark, odd, lane]; a push to a side moves it there, or in every other world away.

    No two steps of a lane have the same mark, which says nothing of the world, nor of when it was; odd: every second
    episode is.

    visits: (steps lived, world) from which on it is in which world; a reward's whole number is the world. An episode
    lasts `length` steps, and is ended and cut short in turn. numbers: actions are one number in [-2, 2], not two sides.
    """

    def __init__(
        self, lane: int = 0, visits: Sequence[tuple[int, int]] = ((0, 0),), length: int = 25, numbers: bool = False
    ) -> None:
        self.observation_space = Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = Box(-2.0, 2.0, (1,), np.float32) if numbers else Discrete(2)
        self.lane, self.visits, self.length = lane, visits, length
        self.position, self.steps, self.episode, self.since = 0.0, 0, -1, 0
        self.observation: Any = None
        self.lived: list[tuple[Any, Any, float, Any, bool, bool]] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=self.lane if seed is None and self.observation is None else seed)
        self.position, self.since, self.episode = float(self.np_random.uniform(-0.1, 0.1)), 0, self.episode + 1
        self.observation = self._seen()
        return self.observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.since < self.length
        world = [world for at, world in self.visits if at <= self.steps][-1]
        push = float(np.ravel(action)[0]) if isinstance(self.action_space, Box) else 2.0 * action - 1.0
        self.position = 0.8 * self.position + 0.1 * (push if world % 2 == 0 else -push)
        self.steps, self.since = self.steps + 1, self.since + 1
        before, self.observation = self.observation, self._seen()
        over, odd = self.since == self.length, self.episode % 2 == 1
        reward = float(np.float32(world + 0.2 * self.position))
        self.lived.append((before, np.array(action), reward, self.observation, over and not odd, over and odd))
        return self.observation, reward, over and not odd, over and odd, {}

    def _seen(self) -> Any:
        return np.array([self.position, self.steps * GOLDEN % 1.0, self.episode % 2, self.lane], np.float32)


def marked(lanes: int = 4, **settings: Any) -> tuple[Marked, ...]:
    return tuple(Marked(lane, **settings) for lane in range(lanes))


def rows_lived(lanes: Sequence[Marked]) -> list[list[Any]]:
    """Every transition of the lanes, lane by lane within a step, as plain numbers."""
    return [plain(*lane.lived[t]) for t in range(len(lanes[0].lived)) for lane in lanes]


def rows_of(blocks: Sequence[Transitions]) -> list[list[Any]]:
    """The same of what somebody was shown."""
    return [
        plain(t.observations[i], t.actions[i], t.rewards[i], t.next_observations[i], t.terminated[i], t.truncated[i])
        for t in blocks
        for i in range(len(t))
    ]


def plain(before: Any, action: Any, reward: Any, after: Any, terminated: Any, truncated: Any) -> list[Any]:
    pushed = np.ravel(action).tolist()
    return [
        np.ravel(before).tolist(),
        pushed,
        float(reward),
        np.ravel(after).tolist(),
        bool(terminated),
        bool(truncated),
    ]


def pairs_lived(lanes: Sequence[Marked]) -> set[tuple[float, ...]]:
    """What was seen before and after each step, with what it earned, each step's numbers in one."""
    return {(*before, *after, float(np.float32(reward))) for before, _, reward, after, _, _ in rows_lived(lanes)}


def worlds_of(transitions: Transitions) -> list[int]:
    """In which world each was lived."""
    return [round(float(reward)) for reward in transitions.rewards]
