"""Where a lane is due at each of its steps: in which place, with which numbers, and when it has to look again."""

from __future__ import annotations

import bisect
import sys
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from lifelong_envs.rl.places import Place
from lifelong_envs.rl.timetable import Change
from lifelong_envs.rl.world import apart

NEVER = sys.maxsize


class Stay(NamedTuple):
    """How a lane is in a place from now on: what to set there, and which bodies are needed.

    wake: the lane's step before which it has to look again. cut: the step with which its episode is cut.
    """

    place: Place
    values: tuple[float, ...]
    bodies: Set[int]
    wake: int
    cut: int


class Itinerary:
    """The changes of one lane, in order. Raises ValueError where one is not possible in the way that it is to be."""

    def __init__(self, changes: Sequence[Change], places: Sequence[Place]) -> None:
        self._changes, self.places = tuple(changes), tuple(places)
        self._starts = [change.at for change in changes]
        for change, before, after in zip(self._changes[1:], self.places, self.places[1:], strict=False):
            if change.way == "now" and before.body != after.body:
                raise ValueError(apart(before.world, after.world))

    def written(self) -> list[list[Any]]:
        """Plain data."""
        return [[change.at, change.task, change.way, change.over] for change in self._changes]

    def entered(self, steps: int, draws: np.random.Generator) -> Stay:
        """Where an episode takes place that begins now."""
        at = self._due(steps)
        change, place = self._changes[at], self.places[at]
        if steps < change.at + change.over and draws.random() >= _share(change, steps):
            place = self.places[at - 1]
        return self._stay(at, place, steps)

    def gone_on(self, steps: int, here: Place) -> Stay:
        """Where an episode goes on that takes place here."""
        at = self._due(steps)
        place = self.places[at]
        stays = self._changes[at].way != "now" or place.body != here.body
        return self._stay(at, here if stays else place, steps)

    def _stay(self, at: int, place: Place, steps: int) -> Stay:
        """In a place under change number `at`."""
        change, target = self._changes[at], self.places[at]
        before = self.places[at - 1] if at else target
        on_the_way = steps < change.at + change.over
        moves = before.body == target.body == place.body
        values = place.values
        if change.way == "gradual" and moves:
            # Also where an episode goes on with the actions and observations of the world before.
            values = target.values if not on_the_way else _between(before.values, target.values, _share(change, steps))
        bodies = {place.body, before.body, target.body} if on_the_way else {place.body}
        wake = cut = NEVER
        if on_the_way and moves:
            wake = steps + 1
        elif at + 1 < len(self._changes):
            following, then = self._changes[at + 1], self.places[at + 1]
            if following.way == "reset":
                cut = following.at
            elif following.way in ("now", "gradual") and then.body == target.body == place.body:
                wake = following.at
        return Stay(place, values, bodies, wake, cut)

    def _due(self, steps: int) -> int:
        return bisect.bisect_right(self._starts, steps) - 1


def _share(change: Change, steps: int) -> float:
    """How far a change has come: it rises evenly from the first of its steps to the last."""
    return (steps - change.at + 1) / (change.over + 1)


def _between(before: tuple[float, ...], after: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(a + (b - a) * share for a, b in zip(before, after, strict=True))
