"""Shift detection by a one-sided, standardised, outlier-proof cumulative sum.

Source: Page 1954 (CUSUM), with three changes that a learner's loss asks for. It is one-sided, because a falling loss is
learning, not a shift. It is standardised against a running level and spread, so the threshold has no unit. One value
can add at most `cap - allowance`, so a single outlier, however large, never fires; and while the sum is above the
weight of two outliers the reference stands still, so a shift cannot teach the detector that it is normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.detector import Shift
from lifelong.shift.onset import LONGEST_RUN, since_rise

LEAST_EVIDENCE = 3
"""Values of a new world that it takes to believe in it, however close to the threshold chance had brought the sum."""


@dataclass(slots=True)
class Cusum:
    """One-sided standardised CUSUM on surprise values; a jump is found in about `threshold / (cap - allowance)` values.

    threshold: the sum, in standard deviations, that fires. allowance: deviations per value that pass as normal.
    cap: the most that one value counts. memory: values over which level and spread are averaged; in a young world the
    level follows a fall faster. warmup: values that only teach the reference, after a start or a reset.
    floor: the least spread, as a share of the level. cooldown: values after a rearm in which the sum may reach the
    threshold, but not pass it.
    """

    threshold: float = 12.0
    allowance: float = 1.0
    cap: float = 4.0
    memory: int = 20
    warmup: int = 20
    floor: float = 0.1
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)
    _run: list[float] = field(default_factory=list, init=False, repr=False)
    _level: float = field(default=0.0, init=False, repr=False)
    _variance: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and self.allowance >= 0 and self.cap > self.allowance):
            raise ValueError(
                f"Cusum needs threshold > 0 and 0 <= allowance < cap, got threshold={self.threshold}, "
                f"allowance={self.allowance}, cap={self.cap}."
            )
        if self.memory < 2 or self.warmup < 2 or self.floor < 0 or self.cooldown < 0:
            raise ValueError(
                f"Cusum needs memory >= 2, warmup >= 2, floor >= 0 and cooldown >= 0, got memory={self.memory}, "
                f"warmup={self.warmup}, floor={self.floor}, cooldown={self.cooldown}."
            )

    def update(self, value: float) -> Shift | None:
        self._seen += 1
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        # Beyond this a square is infinite: as good as not a number.
        finite = abs(value) < 1e100
        if self._seen == 1:
            self._level = value if finite else 0.0
            return None
        spread = max(math.sqrt(self._variance), self.floor * abs(self._level), 1e-12)
        # A loss that is not a number is as surprising as a value can be.
        error = value - self._level if finite else self.cap * spread
        if self._seen <= self.warmup:
            self._learn(error)
            return None
        score = min(error / spread, self.cap)
        self.statistic = max(0.0, self.statistic + score - self.allowance)
        if self.statistic == 0.0:
            self._run.clear()
        else:
            self._run.append(score)
            del self._run[:-LONGEST_RUN]
        if silent:
            # Evidence from the silence alone fires nothing: it takes one more value once that is over.
            self.statistic = min(self.statistic, self.threshold)
        if self.statistic > self.threshold and (onset := since_rise(self._run)) >= LEAST_EVIDENCE:
            return Shift(onset, self.statistic, self.threshold)
        if self.statistic <= 2.0 * (self.cap - self.allowance):
            self._learn(min(error, self.cap * spread))
        return None

    def _learn(self, error: float) -> None:
        rate = max(1.0 / self.memory, 1.0 / self._seen)
        self._variance += rate * (error * error - self._variance)
        # A level that lags behind a learning curve takes the lag for spread, and is blind to an early shift.
        fall = min(0.5, max(1.0 / self.memory, 10.0 / self._seen))
        self._level += error * (fall if error < 0.0 else 1.0 / self.memory)

    def rearm(self) -> None:
        self.statistic, self._run, self._silent = 0.0, [], self.cooldown

    def reset(self) -> None:
        self.rearm()
        self._silent = 0
        self._seen, self._level, self._variance = 0, 0.0, 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "seen": self._seen,
            "silent": self._silent,
            "run": list(self._run),
            "level": self._level,
            "variance": self._variance,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._seen, self._run = state["statistic"], state["seen"], list(state["run"])
        self._level, self._variance, self._silent = state["level"], state["variance"], state["silent"]
