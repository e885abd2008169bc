"""What who acts at random comes to: the zero of a normalised score."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lifelong.episodes import Judgement, play, said_of_cut, said_of_silence
from lifelong.interaction import Array, Found, Observations, Stage, Transitions
from lifelong.stream import EnvTask

if TYPE_CHECKING:
    from lifelong.interaction import Space


def random_value(task: EnvTask, episodes: int = 100, seed: int = 0, at_once: int = 10) -> float:
    """The task's measure, not normalised, of a policy that samples its actions uniformly from the action space.

    Episode k begins from `reset(seed=task.seed + k)`, its actions are drawn from `seed` and k: `at_once`, the number of
    environments side by side, changes nothing. Raises ValueError for numbers below 1.
    """
    if episodes < 1 or at_once < 1:
        raise ValueError(f"Give at least one episode, and one at once, got episodes={episodes}, at_once={at_once}.")
    total, counted, cut, tells = 0.0, 0, 0, False
    for first in range(0, episodes, at_once):
        count = min(at_once, episodes - first)
        judged = replace(task, episodes=count, seed=task.seed + first)
        played = play(RandomPolicy(seed, first), judged)
        total, counted = total + played.episodes * played.value, counted + played.episodes
        cut, tells = cut + played.cut, tells or played.tells
    whole = Judgement(total / counted, counted, (), (), cut, tells)
    if cut:
        warnings.warn(said_of_cut(task, whole), stacklevel=2)
    if task.measure == "success" and not tells:
        warnings.warn(said_of_silence(task, whole), stacklevel=2)
    return whole.value


class RandomPolicy:
    """Samples actions; its actor in lane k draws them from (seed, first + k)."""

    def __init__(self, seed: int = 0, first: int = 0) -> None:
        self._seed, self._first = seed, first

    def actor(self, stage: Stage) -> RandomActor:
        return RandomActor([self._space(stage.action_space, lane) for lane in range(stage.lanes)])

    def _space(self, space: Space, lane: int) -> Space:
        own = copy.deepcopy(space)
        # An environment that is reset with the same number must not draw the same ones.
        (seed,) = np.random.SeedSequence([self._seed, self._first + lane, 1]).generate_state(1)
        own.seed(int(seed) % 2**31)
        return own


class RandomActor:
    """Acts in each lane by a space of its own."""

    def __init__(self, spaces: Sequence[Space]) -> None:
        self._spaces = spaces

    def act(self, observations: Observations, lanes: Array) -> Array:
        return np.stack([np.asarray(self._spaces[lane].sample()) for lane in lanes.tolist()])

    def observe(self, transitions: Transitions, lanes: Array) -> None:
        """Nothing that happens matters to it."""

    @property
    def experts(self) -> Array:
        return np.full(len(self._spaces), -1, dtype=np.int64)

    @property
    def found(self) -> Sequence[Found]:
        return ()
