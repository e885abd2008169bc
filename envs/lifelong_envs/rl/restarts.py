"""How often the environments of a lane had to be made anew, and when that is often enough."""

from __future__ import annotations

from time import sleep
from typing import Any

from lifelong.interaction import WorldLost
from lifelong.mishaps import LaneFailed
from lifelong_envs.rl.world import World

PAUSES = (0.0, 0.5, 2.0, 8.0)
"""Seconds before an environment is made anew for the first, second, ... time in a row; the last for all later ones."""

REMEDY = "Mend the environment, or give the world a `view` that keeps it from that"


class Restarts:
    """Of lane `number`. Part of a lane's state: a lane that is taken up counts on."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._count = 0
        self._lately: dict[str, list[int]] = {}
        self._told: list[LaneFailed] = []
        self._row, self._latest = 0, -2

    def add(self, world: World, at: int, why: str, where: str) -> None:
        """An environment of this world failed in the lane's step `at`: it is on record, and may be made anew.

        Waits where it failed as it was made anew, or in its first step. Raises WorldLost where it failed too often.
        """
        lately = [step for step in self._lately.get(world.task, ()) if step > at - world.within]
        self._lately[world.task] = [*lately, at]
        self._count += 1
        self._told.append(LaneFailed(self._number, world.task, at, why, self._count))
        if len(lately) >= world.restarts:
            raise WorldLost(_said(world, why, where, len(lately)))
        self._row = self._row + 1 if at - self._latest <= 1 else 1
        self._latest = at
        sleep(PAUSES[min(self._row, len(PAUSES)) - 1])

    def told(self) -> list[LaneFailed]:
        """Failures since it was last asked."""
        told, self._told = self._told, []
        return told

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"count": self._count, "lately": {task: list(steps) for task, steps in self._lately.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._count, self._lately = state["count"], {task: list(steps) for task, steps in state["lately"].items()}


def _said(world: World, why: str, where: str, before: int) -> str:
    times = "once" if before == 1 else f"{before} times"
    allowed = f" It was made anew {times} within {world.within:,} steps of this lane, as often as `restarts` allows."
    go_on = "`lifelong resume` goes on from the last checkpoint, if there is one"
    return f"{where}: {why}.{allowed if world.restarts else ''} {REMEDY}; {go_on}."
