"""Detection of gradual drift by a cumulative sum against a reference that never follows.

Source: Page 1954 (CUSUM); Siegmund 1985, Sequential analysis, for its average run length; the spread of an
autocorrelated mean is that of a first-order autoregression (Box and Jenkins 1976).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lifelong.shift.detector import Shift
from lifelong.shift.onset import LONGEST_RUN, since_rise

FLAT = 3.0
"""Standard errors by which the halves of a reference may differ in mean; beyond them it is not mature."""

RARE = 50
"""One value in so many, and one more, may be clipped where most of a reference are the same."""


@dataclass(slots=True)
class FrozenCusum:
    """Finds slow drift: a CUSUM with a small allowance against the level and spread of the first mature values.

    threshold: the sum that fires; allowance: what passes as normal per value; both in deviations of the reference,
    widened for its autocorrelation. certainty: standard errors of the reference's mean that are allowed on top. cap:
    the most that one value counts. warmup: values that make the reference: the first row of so many whose halves have
    the same mean, so that a learning curve is waited for and not taken for the world. floor: the least spread, as a
    share of the level. cooldown: values after a rearm in which the sum may reach the threshold, but not pass it.

    How long it is silent in one world: with mean -d per value the sum of unit deviations takes about
    (exp(2db) - 2db - 1) / (2d^2) values to reach the threshold h, b = h + 1.166 (Siegmund 1985, equation 2.56).
    A reference of n values is off by 1/sqrt(n) deviations, and for as long as it stands: without `certainty` one that
    is two standard errors too low would fire after some thousand values. With 3 of them, d is at least the allowance
    even for one that is three too low: at 0.25 and h = 25 the run is some 4 million values, and half a million if the
    spread too is underestimated by 15 % (three standard errors at n = 200).

    The price: a rise below `allowance + certainty / sqrt(warmup)`, here 0.46 deviations, is never found, and a jump is
    found in 8 values at best. A loss that goes on falling after the reference was taken blinds it by as much.
    """

    threshold: float = 25.0
    allowance: float = 0.25
    certainty: float = 3.0
    cap: float = 4.0
    warmup: int = 200
    floor: float = 0.02
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _young: list[float] = field(default_factory=list, init=False, repr=False)
    _level: float = field(default=0.0, init=False, repr=False)
    _spread: float = field(default=0.0, init=False, repr=False)
    _latest: list[float] = field(default_factory=list, init=False, repr=False)
    _since: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and self.allowance >= 0 and self.certainty >= 0 and self.floor >= 0):
            raise ValueError(
                f"FrozenCusum needs threshold > 0, allowance >= 0, certainty >= 0 and floor >= 0, got "
                f"threshold={self.threshold}, allowance={self.allowance}, certainty={self.certainty}, "
                f"floor={self.floor}."
            )
        if self.warmup < 10 or self.cooldown < 0:
            raise ValueError(
                f"FrozenCusum needs warmup >= 10 and cooldown >= 0, got warmup={self.warmup}, cooldown={self.cooldown}."
            )
        if self.cap <= self.passes:
            raise ValueError(
                f"FrozenCusum needs cap > allowance + certainty / sqrt(warmup), which is {self.passes:.3g}, "
                f"got cap={self.cap}."
            )

    @property
    def passes(self) -> float:
        """The deviations per value that pass as normal, the reference's own error included."""
        return self.allowance + self.certainty / math.sqrt(self.warmup)

    def update(self, value: float) -> Shift | None:
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        finite = abs(value) < 1e100
        if self._spread == 0.0:
            if finite:
                self._gather(value)
            return None
        # What is not a number is as surprising as a value can be.
        score = min((value - self._level) / self._spread, self.cap) if finite else self.cap
        self.statistic = max(0.0, self.statistic + score - self.passes)
        self._since = self._since + 1 if self.statistic > 0.0 else 0
        self._latest.append(score)
        del self._latest[:-LONGEST_RUN]
        if silent:
            # Evidence from the silence alone fires nothing: it takes one more value once that is over.
            self.statistic = min(self.statistic, self.threshold)
        if self.statistic <= self.threshold:
            return None
        return Shift(self._onset(), self.statistic, self.threshold)

    def _onset(self) -> int:
        """A jump where one fits the latest scores, else all values since the sum left zero."""
        if self._since > LONGEST_RUN:
            return self._since
        return since_rise(self._latest[-self._since :])

    def _gather(self, value: float) -> None:
        """One more value for the reference; a full row is taken if it is flat, and dropped if not."""
        self._young.append(value)
        if len(self._young) < self.warmup:
            return
        row, self._young = self._young, []
        least = max(self.floor * abs(statistics.median(row)), 1e-12)
        row = _clipped(row, least)
        half = len(row) // 2
        older, newer = statistics.fmean(row[:half]), statistics.fmean(row[half:])
        rest = [v - older for v in row[:half]] + [v - newer for v in row[half:]]
        variance = sum(r * r for r in rest) / (len(rest) - 2)
        product = sum(a * b for a, b in pairwise(rest)) / len(rest)
        alike = min(max(product / variance, 0.0), 0.95) if variance > 0.0 else 0.0
        spread = max(math.sqrt(variance * (1.0 + alike) / (1.0 - alike)), least)
        if abs(older - newer) <= FLAT * spread * math.sqrt(1.0 / half + 1.0 / (len(row) - half)):
            self._level, self._spread = statistics.fmean(row), spread

    def rearm(self) -> None:
        self.statistic, self._since, self._silent, self._latest = 0.0, 0, self.cooldown, []

    def reset(self) -> None:
        self.rearm()
        self._silent, self._young, self._level, self._spread = 0, [], 0.0, 0.0

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "young": list(self._young),
            "level": self._level,
            "spread": self._spread,
            "latest": list(self._latest),
            "since": self._since,
            "silent": self._silent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._young = state["statistic"], list(state["young"])
        self._level, self._spread, self._latest = state["level"], state["spread"], list(state["latest"])
        self._since, self._silent = state["since"], state["silent"]


def _clipped(row: list[float], least: float) -> list[float]:
    """Values at most five robust deviations from the median: one that is far off must not make the spread.

    Where most values are the same, as errors of 0 and 1, that deviation is none. There only what is rare is far off.
    """
    middle = statistics.median(row)
    apart = sorted(abs(v - middle) for v in row)
    typical = 1.4826 * statistics.median(apart)
    away = 5.0 * max(typical, least)
    if typical < least:
        away = max(away, apart[-2 - len(row) // RARE])
    return [min(max(v, middle - away), middle + away) for v in row]
