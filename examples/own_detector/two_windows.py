"""A shift detector of one's own: the mean of the latest values against the mean of those before."""

from __future__ import annotations

import statistics
from collections import deque
from typing import Any

from lifelong.shift.detector import Shift


class TwoWindows:
    """Fires when the latest `window` values lie `threshold` standard errors above the `memory` values before them."""

    def __init__(self, threshold: float = 8.0, window: int = 5, memory: int = 40) -> None:
        if threshold <= 0 or window < 2 or memory < 2:
            raise ValueError(
                f"threshold must be positive, window and memory at least 2, "
                f"got threshold={threshold}, window={window}, memory={memory}."
            )
        self.threshold, self.window, self.memory = threshold, window, memory
        self.statistic = 0.0
        self._values: deque[float] = deque(maxlen=window + memory)

    def update(self, value: float) -> Shift | None:
        self._values.append(value)
        if len(self._values) < self.window + self.memory:
            return None
        values = list(self._values)
        before, latest = values[: self.memory], values[self.memory :]
        level, spread = statistics.fmean(before), statistics.stdev(before)
        # A tenth of the level at least, so that a loss near zero does not make a trifle of every wiggle.
        error = max(spread, 0.1 * abs(level), 1e-12) / self.window**0.5
        self.statistic = (statistics.fmean(latest) - level) / error
        if self.statistic <= self.threshold:
            return None
        onset = next((i for i, v in enumerate(latest) if v > level + 2 * error), 0)
        return Shift(self.window - onset, self.statistic, self.threshold)

    def rearm(self) -> None:
        for _ in range(min(self.window, len(self._values))):
            self._values.pop()
        self.statistic = 0.0

    def reset(self) -> None:
        self._values.clear()
        self.statistic = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"values": list(self._values), "statistic": self.statistic}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._values = deque(state["values"], maxlen=self.window + self.memory)
        self.statistic = state["statistic"]
