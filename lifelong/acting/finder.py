"""Routing while acting: an actor begins with its best guess, and finds out from what its actions do whose world it is.

It learns nothing and keeps nothing: each lane is an episode of its own, and begins with the same guess. N lanes, M of
them going on, E experts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from lifelong.acting.encoding import Rows
from lifelong.acting.expert import ActingExpert
from lifelong.acting.starts import Starts
from lifelong.interaction import Array, Found, Observations, Stage, Transitions

SURE = 2.0
"""By how much less surprised another expert must have been, summed over the steps of an episode, to take over."""
OUTLYING = 8.0
"""Deviations of chance beyond which a first observation is not told apart any more."""


class Finder:
    """Acts for the first of the given experts until the steps of an episode speak for another one.

    All of them are asked how surprising each step was, in the same units: those of the expert that expects most error
    of itself; and before the first step how unlike its own the episode begins, where all of them know how theirs do.
    Without experts it acts at random.
    """

    def __init__(self, experts: Sequence[ActingExpert], stage: Stage) -> None:
        self._experts = list(experts)
        self._evidence = np.zeros((stage.lanes, max(len(self._experts), 1)))
        self._acting = np.zeros(stage.lanes, dtype=np.int64)
        self._steps = np.zeros(stage.lanes, dtype=np.int64)
        self._numbers = np.array([e.number for e in self._experts] or [-1], dtype=np.int64)
        self.found: list[Found] = []
        self._space = copy.deepcopy(stage.action_space)
        if not self._experts:
            self._space.seed(0)
        # Whoever has not seen enough to foresee anything cannot be compared.
        self._asked = np.array([i for i, e in enumerate(self._experts) if e.model.is_ready], dtype=np.int64)
        self._at_door = np.full(
            stage.lanes, len(self._asked) > 1 and all(self._starts(i).is_ready for i in self._asked)
        )

    @property
    def experts(self) -> Array:
        return self._numbers[self._acting]

    def act(self, observations: Observations, lanes: Array) -> Array:
        if not self._experts:
            return np.stack([np.asarray(self._space.sample()) for _ in lanes])
        if self._at_door.any():
            self._look_round(observations, lanes)
        acting = self._acting[lanes]
        first = int(acting[0])
        if (acting == first).all():
            return self._experts[first].policy.act(observations)
        actions: Array | None = None
        for i in np.unique(acting):
            chosen = np.flatnonzero(acting == i)
            answer = self._experts[int(i)].policy.act(_rows(observations, chosen))
            if actions is None:
                actions = np.empty((len(lanes), *answer.shape[1:]), dtype=answer.dtype)
            actions[chosen] = answer
        assert actions is not None
        return actions

    def observe(self, transitions: Transitions, lanes: Array) -> None:
        self._steps[lanes] += 1
        if len(self._asked) < 2:
            return
        self._heed(self._surprise(transitions), lanes)

    def _look_round(self, observations: Observations, lanes: Array) -> None:
        """Where does the episode begin? One first observation is an outlier at times, and must not count for all."""
        self._at_door[lanes] = False
        rows = self._experts[0].kind.encoding.observations(observations)
        unlike = np.stack([self._starts(i).each(rows) for i in self._asked], axis=1)
        self._heed(np.minimum(unlike, OUTLYING) / OUTLYING * 1.5 * SURE, lanes)

    def _starts(self, i: int) -> Starts:
        return self._experts[i].starts

    def _heed(self, surprise: Rows, lanes: Array) -> None:
        """(M, asked) how surprised each of the asked is."""
        self._evidence[np.ix_(lanes, self._asked)] += surprise
        asked = self._evidence[np.ix_(lanes, self._asked)]
        best = self._asked[asked.argmin(1)]
        acting = self._acting[lanes]
        worse = self._evidence[lanes, acting] - asked.min(1) > SURE
        for lane, to in zip(lanes[worse].tolist(), best[worse].tolist(), strict=True):
            now = int(self._acting[lane])
            self.found.append(Found(int(self._steps[lane]), int(self._numbers[to]), int(self._numbers[now])))
            self._acting[lane] = to

    def _surprise(self, transitions: Transitions) -> Rows:
        """(M, asked) how surprised each of the asked is."""
        errors, expected = zip(*(self._errors(i, transitions) for i in self._asked.tolist()), strict=True)
        unit = np.maximum.reduce(expected)
        return np.stack([np.log1p(e / unit).mean(1) for e in errors], axis=1)

    def _errors(self, i: int, transitions: Transitions) -> tuple[Rows, Rows]:
        """(M, Y) squared errors in the order of the rows, and (Y,) those that the expert expects of itself."""
        model = self._experts[i].model
        seen = model.see(transitions)
        squares = np.empty((len(transitions), len(model.expected)))
        for (_, rows, _, _), part in zip(seen.parts, seen.squares, strict=True):
            squares[rows] = part
        return squares, model.expected


def _rows(observations: Observations, chosen: Array) -> Observations:
    if isinstance(observations, dict):
        return {key: value[chosen] for key, value in observations.items()}
    return observations[chosen]
