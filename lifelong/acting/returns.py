"""How well episodes go while an agent learns: their returns, read off the transitions as they come."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lifelong.acting.encoding import Rows
from lifelong.interaction import Transitions


class Returns:
    """Adds up rewards, lane by lane."""

    def __init__(self) -> None:
        self._running = np.zeros(0)
        self._ended: list[float] = []

    def taken(self) -> float:
        """The mean return of the episodes that ended since it was last asked for; not a number where none did."""
        ended, self._ended = self._ended, []
        return float(np.mean(ended)) if ended else math.nan

    def update(self, transitions: Transitions, lanes: int) -> list[float]:
        """Take in transitions, lane by lane within a step; the returns of the episodes that ended with them."""
        if len(self._running) != lanes:
            self._running = np.zeros(lanes)
        rewards: Rows = transitions.rewards.reshape(-1, lanes).astype(np.float64)
        ends = (transitions.terminated | transitions.truncated).reshape(-1, lanes)
        if not ends.any():
            self._running += rewards.sum(0)
            return []
        done = []
        earned = np.cumsum(rewards, axis=0)
        for step, lane in np.argwhere(ends).tolist():
            # What was earned before the episode began counts below zero, so that the sums stay one pass.
            done.append(float(self._running[lane] + earned[step, lane]))
            self._running[lane] = -earned[step, lane]
        self._running += earned[-1]
        self._ended += done
        return done

    def state_dict(self) -> dict[str, Any]:
        return {"running": self._running.tolist(), "ended": list(self._ended)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._running, self._ended = np.array(state["running"]), list(state["ended"])
