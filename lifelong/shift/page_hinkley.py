"""Shift detection by a one-sided Page-Hinkley test on an online z-score.

Source: Page 1954, Hinkley 1971; on z-scores instead of raw values, so that the threshold does not depend on the scale
of the loss. It accumulates deviations from the mean of all values since the start, so it also notices slow drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.detector import Shift


@dataclass(slots=True)
class PageHinkley:
    """One-sided Page-Hinkley test: fires when the cumulated z-score rises `threshold` above its lowest point.

    delta: the deviation per value, in standard deviations, that passes as normal. memory: values over which mean and
    spread are averaged. warmup: values that only teach the reference. A value counts for at most `threshold / 2.5`.
    cooldown: values after a rearm in which the statistic may reach the threshold, but not pass it.
    """

    threshold: float = 15.0
    delta: float = 0.5
    memory: int = 100
    warmup: int = 30
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)
    _since_lowest: int = field(default=0, init=False, repr=False)
    _mean: float = field(default=0.0, init=False, repr=False)
    _variance: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and self.delta >= 0 and self.memory >= 2 and self.warmup >= 2):
            raise ValueError(
                f"PageHinkley needs threshold > 0, delta >= 0, memory >= 2 and warmup >= 2, got "
                f"threshold={self.threshold}, delta={self.delta}, memory={self.memory}, warmup={self.warmup}."
            )
        if self.cooldown < 0:
            raise ValueError(f"PageHinkley needs cooldown >= 0, got cooldown={self.cooldown}.")

    def update(self, value: float) -> Shift | None:
        self._seen += 1
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        # Beyond this a square is infinite: as good as not a number.
        finite = abs(value) < 1e100
        if self._seen == 1:
            self._mean = value if finite else 0.0
            return None
        spread = max(math.sqrt(self._variance), 0.1 * abs(self._mean), 1e-12)
        cap = self.threshold / 2.5
        error = value - self._mean if finite else cap * spread
        # The first values are far from a first one that was odd: capped, they could not teach the reference.
        if self._seen > self.warmup:
            error = min(error, cap * spread)
            # The statistic is the cumulated score above its running minimum, kept without the cumulated score itself.
            self.statistic = max(0.0, self.statistic + error / spread - self.delta)
            if silent:
                # Evidence from the silence alone fires nothing: it takes one more value once that is over.
                self.statistic = min(self.statistic, self.threshold)
            self._since_lowest = self._since_lowest + 1 if self.statistic > 0.0 else 0
            if self.statistic > self.threshold:
                return Shift(self._since_lowest, self.statistic, self.threshold)
        rate = max(1.0 / self.memory, 1.0 / self._seen)
        self._mean += rate * error
        self._variance += rate * (error * error - self._variance)
        return None

    def rearm(self) -> None:
        self.statistic, self._since_lowest, self._silent = 0.0, 0, self.cooldown

    def reset(self) -> None:
        self.rearm()
        self._silent = 0
        self._seen, self._mean, self._variance = 0, 0.0, 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "seen": self._seen,
            "silent": self._silent,
            "since_lowest": self._since_lowest,
            "mean": self._mean,
            "variance": self._variance,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._seen, self._since_lowest = state["statistic"], state["seen"], state["since_lowest"]
        self._mean, self._variance, self._silent = state["mean"], state["variance"], state["silent"]
