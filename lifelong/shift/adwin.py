"""Shift detection by an adaptive window: the longest one of which no two parts have different means.

Source: Bifet and Gavalda, Learning from time-changing data with adaptive windowing (SDM 2007), ADWIN2: an exponential
histogram (section 4) and the cut test with the window's variance (equation 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lifelong.shift.detector import Shift, Sides, must_be_sides

CLIP = 4.0
"""Deviations of the window that a value counts for at most, where no range is known."""

FLOOR = 0.1
"""The least deviation as a share of the level, where no range is known."""

Bucket = tuple[int, float, float]
"""How many values, their mean, and their summed squares of deviations from it."""


class Cut(NamedTuple):
    """A place to cut the window: the difference of means over its bound, whether it is a rise, the squares that it
    explains (times the values in the window), the values after it and the buckets before it."""

    ratio: float
    up: bool
    explained: float
    newer: int
    buckets: int


@dataclass(slots=True)
class Adwin:
    """ADWIN2: drops the old part of its window when the means of the parts differ; fires when the new one is higher.

    delta: confidence of one test, smaller is quieter. span: the range that all values lie in, as the paper supposes (1
    for errors in 0..1); null where none is known, as for a loss: values then count for at most 4 deviations of the
    window, and the deviation takes the range's place. sides: rises alone fire (a fall shortens the window silently),
    or both do. clock: values between two tests. buckets: most buckets of a size; more cut more finely and take longer.
    least: values of either part. warmup: values before the first test. cooldown: silent values after a rearm, in which
    a rise does not shorten the window.

    `statistic` is the largest difference of means over its bound in the last test, so the threshold is 1. A shift is
    found within about `clock` + 10 values at best. The window that is kept may hold many values of the old world, as
    long as their mean does not betray them; so the onset is the length of the newer part of the cut that explains most.
    """

    delta: float = 0.002
    span: float | None = None
    sides: Sides = "rises"
    clock: int = 4
    buckets: int = 5
    least: int = 5
    warmup: int = 30
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _window: list[Bucket] = field(default_factory=list, init=False, repr=False)
    _before: list[Bucket] = field(default_factory=list, init=False, repr=False)
    _whole: Bucket = field(default=(0, 0.0, 0.0), init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        must_be_sides(self.sides)
        if not 0 < self.delta < 1 or (self.span is not None and not self.span > 0):
            raise ValueError(
                f"Adwin needs 0 < delta < 1 and span > 0 or null, got delta={self.delta}, span={self.span}."
            )
        if self.clock < 1 or self.buckets < 1 or self.least < 1 or self.warmup < 2 or self.cooldown < 0:
            raise ValueError(
                f"Adwin needs clock, buckets and least >= 1, warmup >= 2 and cooldown >= 0, got clock={self.clock}, "
                f"buckets={self.buckets}, least={self.least}, warmup={self.warmup}, cooldown={self.cooldown}."
            )

    @property
    def threshold(self) -> float:
        return 1.0

    def update(self, value: float) -> Shift | None:
        self._seen += 1
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        self._before = []
        count, mean, squares = self._whole
        spread = self._spread(mean, squares / max(count, 1))
        if not abs(value) < 1e100:
            # Not a number, or one whose square is infinite: as surprising as a value can be.
            value = mean + (CLIP * spread if self.span is None else self.span)
        if self.span is None and count >= self.warmup:
            value = max(mean - CLIP * spread, min(value, mean + CLIP * spread))
        self._insert(value)
        if self._seen % self.clock or self._whole[0] <= self.warmup:
            return None
        return self._test(silent)

    def _spread(self, mean: float, variance: float) -> float:
        """The deviation that bounds are made of; its floor stands in for a range where none is known."""
        deviation = math.sqrt(variance)
        return deviation if self.span is not None else max(deviation, FLOOR * abs(mean), 1e-12)

    def _insert(self, value: float) -> None:
        """A new bucket of one; where there are too many of a size, the two oldest of it become one of the next."""
        self._window.append((1, value, 0.0))
        self._whole = _joined(self._whole, self._window[-1])
        end, size = len(self._window), 1
        while True:
            start = end
            while start > 0 and self._window[start - 1][0] == size:
                start -= 1
            if end - start <= self.buckets:
                return
            self._window[start : start + 2] = [_joined(self._window[start], self._window[start + 1])]
            end, size = start + 1, 2 * size

    def _test(self, silent: bool) -> Shift | None:
        """Drop the oldest bucket until no cut is left that separates two means."""
        onset, self.statistic = 0, 0.0
        while True:
            cuts = list(self._cuts())
            counted = [c for c in cuts if self._counts(c)]
            if counted and not onset:
                self.statistic = max(self.statistic, *(c.ratio for c in counted))
            cut = next((c for c in cuts if c.ratio > 1.0), None)
            if cut is None or (silent and self._counts(cut)):
                break
            if self._counts(cut) and not onset:
                # Two levels by least squares: the bound prefers even parts, and this does not.
                best = max(counted, key=lambda c: c.explained)
                onset, self._before = best.newer, self._window[: best.buckets]
            self._whole = _without(self._whole, self._window.pop(0))
        return Shift(onset, self.statistic, self.threshold) if onset else None

    def _counts(self, cut: Cut) -> bool:
        return cut.up or self.sides == "both"

    def _cuts(self) -> Iterator[Cut]:
        """Every place between two buckets that leaves enough values on both sides, from the oldest."""
        count, mean, squares = self._whole
        if count < 2 * self.least:
            return
        spread = self._spread(mean, squares / count)
        log = math.log(2.0 * math.log(count) / self.delta)
        older, older_sum = 0, 0.0
        for i, (size, average, _) in enumerate(self._window[:-1]):
            older, older_sum = older + size, older_sum + size * average
            newer = count - older
            if older < self.least or newer < self.least:
                continue
            # As in common implementations, the least part counts for one value.
            parts = 1.0 / (older - self.least + 1) + 1.0 / (newer - self.least + 1)
            width = self.span if self.span is not None else spread
            bound = spread * math.sqrt(2.0 * parts * log) + 2.0 / 3.0 * width * parts * log
            rise = (count * mean - older_sum) / newer - older_sum / older
            yield Cut(abs(rise) / bound, rise > 0.0, older * newer * rise * rise, newer, i + 1)

    def rearm(self) -> None:
        if self._before:
            self._window, self._before, self._whole = self._before, [], (0, 0.0, 0.0)
            for bucket in self._window:
                self._whole = _joined(self._whole, bucket)
        self.statistic, self._silent = 0.0, self.cooldown

    def reset(self) -> None:
        self.statistic, self._silent, self._seen = 0.0, 0, 0
        self._window, self._before, self._whole = [], [], (0, 0.0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "window": list(self._window),
            "before": list(self._before),
            "whole": self._whole,
            "seen": self._seen,
            "silent": self._silent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._seen, self._silent = state["statistic"], state["seen"], state["silent"]
        self._window, self._before, self._whole = list(state["window"]), list(state["before"]), state["whole"]


def _joined(one: Bucket, other: Bucket) -> Bucket:
    count = one[0] + other[0]
    apart = other[1] - one[1]
    mean = one[1] + apart * other[0] / count
    return count, mean, one[2] + other[2] + apart * apart * one[0] * other[0] / count


def _without(whole: Bucket, part: Bucket) -> Bucket:
    """What is left when a part is taken out again."""
    count = whole[0] - part[0]
    mean = (whole[0] * whole[1] - part[0] * part[1]) / count
    apart = part[1] - mean
    return count, mean, max(0.0, whole[2] - part[2] - apart * apart * part[0] * count / whole[0])
