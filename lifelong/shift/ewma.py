"""Shift detection by an EWMA control chart on an online z-score.

Source: Roberts 1959, Control chart tests based on geometric moving averages; the exact, time-varying control limit is
that of Lucas and Saccucci 1990, equation 2. The chart's values are z-scores against a running level and spread, capped
so that one outlier never fires; while the chart is half way to its limit the reference stands still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.detector import Shift, Sides, must_be_sides
from lifelong.shift.onset import LONGEST_RUN, since_rise

LEAST_EVIDENCE = 3
"""Values of a new world that it takes to believe in it, however narrow the limit of a young chart."""

YOUNG = 3.0
"""A world of n values is averaged over the last third of them, until they are more than the memory."""


@dataclass(slots=True)
class Ewma:
    """EWMA control chart: fires when the weighted average of z-scores is `threshold` of its own deviations from zero.

    threshold: the control limit. weight: of the latest value in the average (0..1]; small ones find small shifts. cap:
    the most that one value counts. memory: values over which level and spread are averaged, in a young world over
    fewer. warmup: values that only teach the reference, after a start or a reset. floor: the least spread, as a share
    of the level. sides: rises alone, or both. cooldown: silent values after a rearm.
    """

    threshold: float = 5.25
    weight: float = 0.2
    cap: float = 4.0
    memory: int = 100
    warmup: int = 30
    floor: float = 0.1
    sides: Sides = "rises"
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _average: float = field(default=0.0, init=False, repr=False)
    _charted: int = field(default=0, init=False, repr=False)
    _latest: list[float] = field(default_factory=list, init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)
    _level: float = field(default=0.0, init=False, repr=False)
    _variance: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        must_be_sides(self.sides)
        if not (self.threshold > 0 and 0 < self.weight <= 1 and self.cap > 0 and self.floor >= 0):
            raise ValueError(
                f"Ewma needs threshold > 0, 0 < weight <= 1, cap > 0 and floor >= 0, got threshold={self.threshold}, "
                f"weight={self.weight}, cap={self.cap}, floor={self.floor}."
            )
        if self.memory < 2 or self.warmup < 2 or self.cooldown < 0:
            raise ValueError(
                f"Ewma needs memory >= 2, warmup >= 2 and cooldown >= 0, got memory={self.memory}, "
                f"warmup={self.warmup}, cooldown={self.cooldown}."
            )

    def update(self, value: float) -> Shift | None:
        self._seen += 1
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        # Beyond this a square is infinite: as good as not a number, and as surprising as a value can be.
        finite = abs(value) < 1e100
        if self._seen == 1:
            self._level = value if finite else 0.0
            return None
        spread = max(math.sqrt(self._variance), self.floor * abs(self._level), 1e-12)
        error = value - self._level if finite else self.cap * spread
        if self._seen <= self.warmup:
            self._learn(error)
            return None
        score = max(-self.cap, min(error / spread, self.cap))
        self._chart(score)
        if self.statistic > self.threshold and not silent:
            # On the side of the average, whichever that is.
            onset = since_rise([math.copysign(1.0, self._average) * s for s in self._latest])
            if onset >= LEAST_EVIDENCE:
                return Shift(onset, self.statistic, self.threshold)
        if self.statistic <= 0.5 * self.threshold:
            self._learn(score * spread)
        return None

    def _chart(self, score: float) -> None:
        """One more score into the average and into the latest ones, among which an onset is looked for."""
        self._average += self.weight * (score - self._average)
        self._charted += 1
        self._latest.append(score)
        del self._latest[:-LONGEST_RUN]
        settled = 1.0 - (1.0 - self.weight) ** (2 * self._charted)
        away = self._average / math.sqrt(self.weight / (2.0 - self.weight) * settled)
        self.statistic = abs(away) if self.sides == "both" else max(0.0, away)

    def _learn(self, error: float) -> None:
        # Young, it weighs late values more than early ones: a learning curve's start is no reference. Rises and falls
        # weigh alike, for a chart without an allowance would take the bias of any preference for a shift.
        rate = max(1.0 / self.memory, min(0.5, YOUNG / self._seen))
        self._variance += rate * (error * error - self._variance)
        self._level += rate * error

    def rearm(self) -> None:
        self.statistic = self._average = 0.0
        self._charted, self._latest, self._silent = 0, [], self.cooldown

    def reset(self) -> None:
        self.rearm()
        self._silent = self._seen = 0
        self._level = self._variance = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "average": self._average,
            "charted": self._charted,
            "latest": list(self._latest),
            "seen": self._seen,
            "silent": self._silent,
            "level": self._level,
            "variance": self._variance,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._average, self._charted = state["statistic"], state["average"], state["charted"]
        self._latest, self._seen, self._silent = list(state["latest"]), state["seen"], state["silent"]
        self._level, self._variance = state["level"], state["variance"]
