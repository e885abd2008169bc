"""Falls: what is learning, what is an easier world."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pytest

from lifelong.shift.adwin import Adwin
from lifelong.shift.detector import Shift
from lifelong.shift.ewma import Ewma
from lifelong.shift.falling import Falling
from lifelong.shift.page_hinkley import PageHinkley

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def alarms(detector: Falling, values: Values) -> list[tuple[int, Shift]]:
    found = []
    for at, value in enumerate(values):
        shift = detector.update(float(value))
        if shift is not None:
            found.append((at, shift))
            detector.reset()
    return found


@pytest.mark.parametrize("pace", [5, 20, 100, 500])
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2, None])
def test_learning_curves_are_no_shift(pace: int, noise: float | None) -> None:
    curve = 0.3 + 2.0 * np.exp(-np.arange(2000) / pace)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        fuzz = rng.normal(0.0, 0.1, 2000) * curve if noise is None else rng.normal(0.0, noise, 2000)
        assert alarms(Falling(), curve + fuzz) == []


def test_a_slow_start_and_a_ramp_are_learning_too() -> None:
    steps = np.arange(1000)
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0.0, 0.05, 1000)
        assert alarms(Falling(), 0.3 + 2.0 / (1.0 + np.exp((steps - 400) / 40)) + noise) == []
        assert alarms(Falling(), np.clip(2.3 - 0.01 * np.maximum(steps - 300, 0), 0.3, None) + noise) == []


@pytest.mark.parametrize("inner", [Ewma, PageHinkley])
def test_the_wrapped_detector_alone_would_take_learning_for_a_shift(inner: Any) -> None:
    alone = wrapped = 0
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(0.0, 0.05, 1000)
        curve = 0.3 + 2.0 * np.exp(-np.arange(1000) / 50) + noise
        detector = inner()
        for value in curve:
            if detector.update(-float(value)) is not None:
                alone += 1
                detector.reset()
        wrapped += len(alarms(Falling(inner()), curve))
    assert alone >= 5
    assert wrapped == 0


@pytest.mark.parametrize("level", [1.0, 0.5])
def test_a_drop_of_four_deviations_from_a_plateau_is_found_in_about_ten_values(level: float) -> None:
    delays, spread = [], 0.1 * level
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = np.concatenate([rng.normal(level, spread, 300), rng.normal(level - 4 * spread, spread, 60)])
        delays += [(at - 299, at - shift.onset - 299) for at, shift in alarms(Falling(), values)[:1]]
    assert len(delays) >= 39
    assert np.median([delay for delay, _ in delays]) <= 10
    assert max(delay for delay, _ in delays) <= 25
    assert np.median([onset for _, onset in delays]) == 0


def test_after_a_learning_curve_has_become_flat_a_drop_is_found() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        curve = 0.5 + 2.0 * np.exp(-np.arange(500) / 40) + rng.normal(0.0, 0.05, 500)
        found = alarms(Falling(), np.concatenate([curve, rng.normal(0.1, 0.05, 40)]))
        assert len(found) == 1
        assert 500 <= found[0][0] < 512


@pytest.mark.parametrize("inner", [PageHinkley, Adwin])
def test_any_detector_can_be_turned_around(inner: Any) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1.0, 0.1, 300), rng.normal(0.3, 0.1, 40), rng.normal(1.0, 0.1, 100)])
    found = alarms(Falling(inner()), values)
    assert [at // 20 for at, _ in found] == [15]


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), float("-inf"), -1e200])
def test_what_is_not_a_number_is_no_fall(strange: float) -> None:
    values = np.random.default_rng(0).normal(1.0, 0.1, 400)
    values[200:220] = strange
    assert alarms(Falling(), values) == []
