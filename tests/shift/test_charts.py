"""The EWMA chart, TAME's band and the frozen sum against formulas, and what is promised of each alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest

from lifelong.shift.detector import Detector, Shift
from lifelong.shift.ewma import Ewma
from lifelong.shift.frozen_cusum import FrozenCusum
from lifelong.shift.tame_band import TameBand

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def shown(detector: Detector, values: Sequence[float] | Values) -> list[tuple[int, Shift]]:
    """Alarms of a detector that nobody tells what to make of them."""
    return [(at, s) for at, s in enumerate(map(detector.update, map(float, values))) if s is not None]


def test_ewma_has_the_exact_limit_of_a_young_chart() -> None:
    detector = Ewma(weight=0.2, floor=0.1, memory=10**6)
    for _ in range(30):
        detector.update(1.0)
    # The level is 1 and the spread its floor, 0.1: scores of 2, then -1; what is learned of them is accounted for.
    detector.update(1.2)
    # One value: the average is 0.4 and its deviation 0.2.
    assert detector.statistic == pytest.approx(2.0)
    level = detector.state_dict()["level"]
    detector.update(0.9)
    average = 0.8 * 0.4 + 0.2 * (0.9 - level) / (0.1 * level)
    assert detector.statistic == pytest.approx(average / math.sqrt(0.2 / 1.8 * (1 - 0.8**4)))
    # One-sided: below zero there is no evidence; two-sided, there is.
    both = Ewma(sides="both")
    for one in (detector, both):
        one.reset()
        shown(one, [1.0] * 30 + [0.8])
    assert detector.statistic == 0.0
    assert both.statistic == pytest.approx(2.0)


def test_the_two_sided_ewma_finds_falls_and_their_onset() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(2.0, 0.1, 300), rng.normal(1.0, 0.1, 20)])
    assert shown(Ewma(), values) == []
    at, shift = shown(Ewma(sides="both"), values)[0]
    assert 300 <= at < 306
    assert abs(at - shift.onset + 1 - 300) <= 1


def test_ewma_finds_two_deviations() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = np.concatenate([rng.normal(1.0, 0.15, 300), rng.normal(1.3, 0.15, 60)])
        at, _ = shown(Ewma(), values)[0]
        assert 300 <= at < 340


def published(losses: Values, start: float | None, window: int = 100) -> int | None:
    """TAME's rule read from the paper, line by line: the first loss that makes it switch."""
    kept = [] if start is None else [start]
    smoothed = None
    for at, loss in enumerate(losses):
        smoothed = loss if smoothed is None else 0.2 * loss + 0.8 * smoothed
        if kept and smoothed > np.mean(kept[-window:]) + 3 * max(np.std(kept[-window:]), 0.005):
            return at
        kept.append(float(loss))
    return None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("start", [None, math.log(10)])
@pytest.mark.parametrize("size", [0.3, 3.0])
def test_tame_band_is_the_published_rule(seed: int, start: float | None, size: float) -> None:
    rng = np.random.default_rng(seed)
    curve = 0.3 + 2.0 * np.exp(-np.arange(400) / 40) + rng.normal(0.0, 0.05, 400)
    losses = np.concatenate([curve, curve + size])
    found = shown(TameBand(start=start, warmup=0), losses)
    assert (found[0][0] if found else None) == published(losses, start)


def test_tame_band_swallows_a_jump_that_its_window_takes_in() -> None:
    missed, found = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        calm, jump = rng.normal(1.0, 0.1, 300), rng.normal(1.0, 0.1, 100)
        missed += not shown(TameBand(), np.concatenate([calm, jump + 0.8]))
        found += shown(TameBand(), np.concatenate([calm, jump + 2.0]))[0][0] == 300
    assert missed >= 15
    assert found == 20


def test_tame_band_trips_on_its_seed_without_a_grace() -> None:
    # One value makes a window without spread: any loss a little above it is outside.
    assert shown(TameBand(start=math.log(10), warmup=0), [2.4])
    assert not shown(TameBand(start=math.log(10)), [2.4])


def ramp(seed: int) -> Values:
    """A calm world of 1,000 values, then three deviations in 1,000."""
    values = np.random.default_rng(seed).normal(1.0, 0.1, 2500)
    values[1000:] += 0.3 * np.minimum(np.arange(1500) / 1000, 1.0)
    return values


def test_a_slow_ramp_is_found_by_the_frozen_sum() -> None:
    for seed in range(10):
        at, shift = shown(FrozenCusum(), ramp(seed))[0]
        assert 1000 <= at < 1500
        assert 950 <= at - shift.onset + 1 <= at


@pytest.mark.parametrize("seed", range(10))
def test_twenty_thousand_values_of_one_world_do_not_move_the_frozen_sum(seed: int) -> None:
    assert shown(FrozenCusum(), np.random.default_rng(seed).normal(1.0, 0.1, 20_000)) == []


def test_the_average_run_of_the_frozen_sum_is_siegmunds() -> None:
    # A reference of 20,000 values is nearly the truth, and no certainty is added: what is left is the plain sum.
    detector = FrozenCusum(threshold=4.0, allowance=0.5, certainty=0.0, cap=100.0, warmup=20_000)
    rng = np.random.default_rng(0)
    shown(detector, rng.normal(1.0, 0.1, 20_000))
    runs, start = [], 0
    for at, value in enumerate(rng.normal(1.0, 0.1, 60_000)):
        if detector.update(float(value)) is not None:
            runs.append(at - start)
            start = at
            detector.rearm()
    high = 4.0 + 1.166
    expected = (math.exp(2 * 0.5 * high) - 2 * 0.5 * high - 1) / (2 * 0.5**2)
    assert expected == pytest.approx(338, abs=1)
    assert len(runs) > 100
    assert np.mean(runs) == pytest.approx(expected, rel=0.2)


def test_a_wrong_reference_is_allowed_for() -> None:
    # Without the allowance for it, references that happen to be too low fire again and again.
    with_it, without = 0, 0
    for seed in range(40):
        values = np.random.default_rng(seed).normal(1.0, 0.1, 3000)
        with_it += bool(shown(FrozenCusum(warmup=30, threshold=12.0), values))
        without += bool(shown(FrozenCusum(warmup=30, threshold=12.0, certainty=0.0), values))
    assert with_it <= 2
    assert without >= 10


def test_a_learning_curve_is_no_reference() -> None:
    detector = FrozenCusum(warmup=100)
    rng = np.random.default_rng(0)
    curve = 0.3 + 2.0 * np.exp(-np.arange(600) / 60)
    shown(detector, curve + rng.normal(0.0, 0.05, 600))
    state = detector.state_dict()
    assert state["level"] == pytest.approx(0.3, abs=0.05)
    assert state["spread"] == pytest.approx(0.05, rel=0.3)


def test_the_reference_is_widened_for_autocorrelation() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 1.0, 5000)
    for i in range(1, 5000):
        values[i] += 0.8 * values[i - 1]
    detector = FrozenCusum(warmup=5000)
    shown(detector, 100.0 + values)
    # Of unit innovations, a mean of many varies as one of independent values of spread 1 / (1 - 0.8).
    assert detector.state_dict()["spread"] == pytest.approx(5.0, rel=0.15)


def errors(seed: int, *parts: tuple[float, int]) -> Values:
    """Errors, 0 or 1, of these rates for so many values each."""
    rng = np.random.default_rng(seed)
    return np.concatenate([(rng.random(count) < rate).astype(float) for rate, count in parts])


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.45, 0.55, 0.9])
def test_a_reference_of_errors_is_their_rate_and_its_spread(rate: float) -> None:
    values = errors(0, (rate, 200))
    detector = FrozenCusum()
    shown(detector, values)
    state, share = detector.state_dict(), float(values.mean())
    assert state["level"] == pytest.approx(share)
    # A flip of a coin; wider by what 200 of them seem to hang together by chance.
    assert math.sqrt(share * (1 - share)) * 0.98 <= state["spread"] <= 1.25 * math.sqrt(share * (1 - share))


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.06, 0.1, 0.5, 0.95])
def test_errors_of_one_world_do_not_move_the_frozen_sum(rate: float) -> None:
    # One in a thousand at most, of three times 20,000.
    assert sum(len(shown(FrozenCusum(), errors(seed, (rate, 20_000)))) for seed in range(3)) <= 60


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.05, 0.1])
def test_the_frozen_sum_finds_that_half_of_the_answers_are_wrong(rate: float) -> None:
    for seed in (0, 2, 3):
        at, shift = shown(FrozenCusum(), errors(seed, (rate, 1000), (0.5, 100)))[0]
        assert 1000 <= at < 1060
        assert 1 <= shift.onset <= 100


def test_one_value_that_is_far_off_does_not_make_the_spread_of_equal_ones() -> None:
    values = [1.0] * 200
    values[50] = 1e9
    detector = FrozenCusum(floor=0.02)
    shown(detector, values)
    assert detector.state_dict()["spread"] == pytest.approx(0.02)
