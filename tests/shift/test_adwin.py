"""ADWIN against River's, and against the same test on all values instead of summaries."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import pytest

from lifelong.shift.adwin import Adwin

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def worlds(seed: int) -> Values:
    """Errors in 0..1 that rise and fall: smooth and binary ones, jumps, a slow rise."""
    rng = np.random.default_rng(seed)
    return np.concatenate([
        rng.beta(2, 5, 400), rng.beta(5, 2, 300), rng.beta(2, 3, 500), rng.random(1000) < 0.2, rng.random(800) < 0.35,
        np.linspace(0.0, 1.0, 700) * rng.random(700),
    ])  # fmt: skip


def ours(values: Values, detector: Adwin) -> list[int]:
    found = []
    for at, value in enumerate(values):
        if detector.update(float(value)) is not None:
            found.append(at)
            detector.reset()
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("clock", [1, 32])
def test_two_sided_and_in_a_known_range_it_finds_what_river_finds(seed: int, clock: int) -> None:
    drift = pytest.importorskip("river.drift", reason="River is not installed")
    theirs, found = drift.ADWIN(clock=clock), []
    for at, value in enumerate(worlds(seed)):
        # It starts over after each drift, as ours when it is reset.
        theirs.update(float(value))
        if theirs.drift_detected:
            found.append(at)
    assert len(found) >= 4
    assert ours(worlds(seed), Adwin(span=1.0, sides="both", clock=clock, warmup=10)) == found


class AllValues:
    """ADWIN with every value kept: bucket sizes by the merging rule, means and variances from the values."""

    def __init__(self, one_sided: bool, buckets: int = 5, least: int = 5, delta: float = 0.002) -> None:
        self.one_sided, self.most, self.least, self.delta = one_sided, buckets, least, delta
        self.values: list[float] = []
        self.sizes: list[int] = []

    def update(self, value: float) -> int:
        """1 for a rise, -1 for a fall (a rise counts first), 0 for none. The first ten values are let pass."""
        self.values.append(value)
        self.sizes.append(1)
        size = 1
        while self.sizes.count(size) > self.most:
            oldest = self.sizes.index(size)
            self.sizes[oldest : oldest + 2] = [2 * size]
            size *= 2
        if len(self.values) <= 10:
            return 0
        news = 0
        while direction := self._cut():
            news = max(news, direction) if news else direction
            del self.values[: self.sizes.pop(0)]
        return news

    def _cut(self) -> int:
        count, variance = len(self.values), float(np.var(self.values))
        log = math.log(2 * math.log(count) / self.delta)
        for older in np.cumsum(self.sizes)[:-1]:
            newer = count - older
            if min(older, newer) < self.least:
                continue
            parts = 1 / (older - self.least + 1) + 1 / (newer - self.least + 1)
            bound = math.sqrt(2 * parts * variance * log) + 2 / 3 * parts * log
            rise = float(np.mean(self.values[older:]) - np.mean(self.values[:older]))
            if abs(rise) > bound:
                return 1 if rise > 0 else -1
        return 0


@pytest.mark.parametrize("sides", ["rises", "both"])
def test_it_keeps_the_window_that_all_values_would_keep(sides: Any) -> None:
    detector, oracle = Adwin(span=1.0, sides=sides, clock=1, warmup=10), AllValues(sides == "rises")
    news = []
    for value in worlds(3)[:1500]:
        shift, direction = detector.update(float(value)), oracle.update(float(value))
        assert (shift is not None) == (direction > 0 or (direction < 0 and sides == "both"))
        window = detector.state_dict()["window"]
        assert [size for size, _, _ in window] == oracle.sizes
        count, mean, squares = detector.state_dict()["whole"]
        assert count == len(oracle.values)
        assert mean == pytest.approx(np.mean(oracle.values), abs=1e-12)
        assert squares / count == pytest.approx(np.var(oracle.values), abs=1e-12)
        news.append(direction)
    # Both kinds of change came.
    assert {-1, 1} <= set(news)


def test_memory_is_logarithmic() -> None:
    detector = Adwin()
    for value in np.random.default_rng(0).normal(1.0, 0.1, 20_000):
        detector.update(float(value))
    window = detector.state_dict()["window"]
    assert sum(size for size, _, _ in window) == 20_000
    # Five of each power of two up to 2^11, and at most one more.
    assert len(window) <= 5 * 12 + 1


def test_a_window_of_almost_nothing_is_left_alone() -> None:
    detector = Adwin(delta=0.99, span=0.01, sides="both", least=1, clock=1, warmup=2)
    news = [detector.update(float(value)) for value in [0.0, 0.0, 1.0, 1.0, 0.0, 9.0, 0.0, 0.0, 1.0]]
    assert any(news)
    assert detector.state_dict()["whole"][0] >= 1


def test_a_fall_shortens_the_window_silently_and_a_later_rise_is_found() -> None:
    rng = np.random.default_rng(0)
    detector = Adwin()
    values = np.concatenate([rng.normal(m, 0.1, 200) for m in (2.0, 1.0, 1.5)])
    shifts = [(at, s) for at, s in enumerate(map(detector.update, map(float, values))) if s is not None]
    at, shift = shifts[0]
    assert 400 <= at < 416
    assert abs((at - shift.onset + 1) - 400) <= 2


def test_a_dismissed_alarm_leaves_the_window_of_the_old_world() -> None:
    rng = np.random.default_rng(1)
    detector, calm = Adwin(), rng.normal(1.0, 0.1, 300)
    for value in calm:
        detector.update(float(value))
    while detector.update(float(rng.normal(2.0, 0.1))) is None:
        pass
    detector.rearm()
    count, mean, _ = detector.state_dict()["whole"]
    assert abs(count - 300) <= 2
    assert mean == pytest.approx(calm.mean(), abs=0.01)
