"""Shift detection by an adaptive window: the longest one of which no two parts have different means.

Source: Bifet and Gavalda, Learning from time-changing data with adaptive windowing (SDM 2007), ADWIN2: an exponential
histogram (section 4) and the cut test with the window's variance (equation 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.detector import Shift, Sides

CLIP = 4.0
"""Deviations of the window that a value counts for at most, where no range is known."""

FLOOR = 0.1
"""The least deviation as a share of the level, where no range is known."""

Bucket = tuple[int, float, float]
"""How many values, their mean, and their summed squares of deviations from it."""


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
    found within about `clock` + 10 values at best. The onset is the length of the window that was kept.
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
    _dropped: list[Bucket] = field(default_factory=list, init=False, repr=False)
    _whole: Bucket = field(default=(0, 0.0, 0.0), init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
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
        self._dropped = []
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
        rose, first = False, True
        while True:
            ratio, up = self._cut()
            if first:
                self.statistic, first = ratio if up or self.sides == "both" else 0.0, False
            counts = up or self.sides == "both"
            if ratio <= 1.0 or (counts and silent):
                break
            if counts and not rose:
                rose, self.statistic = True, max(self.statistic, ratio)
            oldest = self._window.pop(0)
            self._dropped.append(oldest)
            self._whole = _without(self._whole, oldest)
        if not rose:
            self._dropped = []
            return None
        return Shift(max(1, self._whole[0]), self.statistic, 1.0)

    def _cut(self) -> tuple[float, bool]:
        """The first cut, from the oldest, whose means differ by more than their bound, else that which comes nearest.

        Returns the difference over its bound, and whether the newer mean is the higher one.
        """
        nearest, higher = 0.0, False
        for ratio, up in self._cuts():
            if ratio > nearest and (up or self.sides == "both" or ratio > 1.0):
                nearest, higher = ratio, up
            if ratio > 1.0:
                break
        return nearest, higher

    def _cuts(self) -> Iterator[tuple[float, bool]]:
        count, mean, squares = self._whole
        spread = self._spread(mean, squares / count)
        log = math.log(2.0 * math.log(count) / self.delta)
        old_count, old_sum = 0, 0.0
        for size, average, _ in self._window[:-1]:
            old_count, old_sum = old_count + size, old_sum + size * average
            new_count = count - old_count
            if old_count < self.least or new_count < self.least:
                continue
            # As in common implementations, the least part counts for one value.
            parts = 1.0 / (old_count - self.least + 1) + 1.0 / (new_count - self.least + 1)
            width = self.span if self.span is not None else spread
            bound = spread * math.sqrt(2.0 * parts * log) + 2.0 / 3.0 * width * parts * log
            difference = (count * mean - old_sum) / new_count - old_sum / old_count
            yield abs(difference) / bound, difference > 0.0

    def rearm(self) -> None:
        if self._dropped:
            self._window, self._dropped = self._dropped, []
            self._whole = (0, 0.0, 0.0)
            for bucket in self._window:
                self._whole = _joined(self._whole, bucket)
        self.statistic, self._silent = 0.0, self.cooldown

    def reset(self) -> None:
        self.statistic, self._silent, self._seen = 0.0, 0, 0
        self._window, self._dropped, self._whole = [], [], (0, 0.0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "window": list(self._window),
            "dropped": list(self._dropped),
            "whole": self._whole,
            "seen": self._seen,
            "silent": self._silent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._seen, self._silent = state["statistic"], state["seen"], state["silent"]
        self._window, self._dropped, self._whole = list(state["window"]), list(state["dropped"]), state["whole"]


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
