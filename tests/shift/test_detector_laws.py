"""Laws of the built-in shift detectors, and what each of them holds of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest
from upside_down import UpsideDown

from lifelong.shift.adwin import Adwin
from lifelong.shift.bocpd import Bocpd
from lifelong.shift.confirmed import Confirmed
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift
from lifelong.shift.ewma import Ewma
from lifelong.shift.falling import Falling
from lifelong.shift.frozen_cusum import FrozenCusum
from lifelong.shift.page_hinkley import PageHinkley
from lifelong.shift.tame_band import TameBand
from lifelong.shift.vote import Vote

Make = Callable[..., Detector]
Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

ALL: list[Make] = [
    Cusum, PageHinkley, Ewma, TameBand, Adwin, Bocpd, Vote, Confirmed, FrozenCusum, UpsideDown,
]  # fmt: skip

SLOWER = {Adwin: 16, FrozenCusum: 10}
"""Values that a large jump takes where it is more than six: two parts of a window, a small allowance for slow drift."""


def every(*but: Make) -> pytest.MarkDecorator:
    """All detectors, except those that are said to be otherwise."""
    return pytest.mark.parametrize("make", [make for make in ALL if make not in but])


def lives(make: Make, count: int) -> int:
    """How many streams a law is tried on: fewer where a value takes forty microseconds."""
    return count // 10 if make is Bocpd else count


def numbers(state: object) -> list[float]:
    """All that a nested state holds."""
    if isinstance(state, dict):
        return [number for value in state.values() for number in numbers(value)]
    if isinstance(state, list | tuple):
        return [number for value in state for number in numbers(value)]
    return [] if state is None else [float(state)]  # type: ignore[arg-type]


def normal(seed: int, count: int, level: float = 1.0, spread: float = 0.15) -> Values:
    return np.random.default_rng(seed).normal(level, spread, count)


def alarms(detector: Detector, values: Values | Sequence[float]) -> list[tuple[int, Shift]]:
    """Position and news of every alarm; after each the detector begins anew."""
    found = []
    for at, value in enumerate(values):
        shift = detector.update(float(value))
        if shift is not None:
            found.append((at, shift))
            detector.reset()
    return found


def trace(detector: Detector, values: Values | Sequence[float]) -> list[tuple[float, Shift | None]]:
    """What the detector holds and says after every value."""
    return [(detector.statistic, shift) for shift in map(detector.update, map(float, values))]


@every()
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(("level", "spread"), [(1.0, 0.1), (1.0, 0.5), (0.0, 1.0)])
def test_ten_thousand_stationary_values_raise_no_alarm(make: Make, seed: int, level: float, spread: float) -> None:
    if make is Bocpd and (seed or level == 1.0):
        pytest.skip("the slowest of them: all seeds are a test of their own")
    assert alarms(make(), normal(seed, 10_000, level, spread)) == []


# TAME's band takes any outlier of fifteen deviations for a shift.
@every(TameBand)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_heavy_tails_raise_one_alarm_at_most(make: Make, seed: int, spread: float) -> None:
    if make is Bocpd and (seed or spread == 0.1):
        pytest.skip("the slowest of them: all seeds are a test of their own")
    values = 1.0 + spread * np.random.default_rng(seed).standard_t(3, 10_000)
    assert np.abs(values - 1.0).max() > 10 * spread
    assert len(alarms(make(), values)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_slowest_raises_no_alarm_either(seed: int) -> None:
    for level, spread in [(1.0, 0.1), (1.0, 0.5), (0.0, 1.0)]:
        assert alarms(Bocpd(), normal(seed, 10_000, level, spread)) == []
    for spread in (0.1, 0.5):
        heavy = 1.0 + spread * np.random.default_rng(seed).standard_t(3, 10_000)
        assert len(alarms(Bocpd(), heavy)) <= 1


@every()
def test_young_worlds_raise_no_alarm_either(make: Make) -> None:
    # The reference of a detector that has just begun is made of few values: a hundred short lives, not one long one.
    assert [seed for seed in range(lives(make, 100)) if alarms(make(), normal(seed, 150, spread=0.3))] == []


@every(TameBand)
def test_one_outlier_however_large_is_no_shift(make: Make) -> None:
    values = normal(0, 400)
    values[[100, 200, 300]] = (50.0, 1e6, 1e30)
    assert alarms(make(), values) == []


@every()
@pytest.mark.parametrize("constant", [0.0, 1e-6, 1.0, 1e6])
def test_a_constant_is_no_shift(make: Make, constant: float) -> None:
    assert alarms(make(), [constant] * 3000) == []


@every()
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.1])
def test_a_falling_learning_curve_is_no_shift(make: Make, seed: int, noise: float) -> None:
    steps = np.arange(2000)
    assert alarms(make(), np.exp(-steps / 100) + normal(seed, 2000, 0.0, noise)) == []


@every(TameBand, *SLOWER)
@pytest.mark.parametrize("calm", [64, 300, 2000])
@pytest.mark.parametrize("size", [10.0, 50.0])
def test_a_jump_is_found_within_six_values(make: Make, calm: int, size: float) -> None:
    for seed in range(lives(make, 20)):
        values = np.concatenate([normal(seed, calm), normal(seed + 100, 20) + size * 0.15])
        at, shift = alarms(make(), values)[0]
        assert 1 <= at - calm + 1 <= 6
        assert shift.statistic > shift.threshold == make().threshold
        # What was learned since the onset is undone: one that points behind the jump would keep the wrong lessons.
        assert at - shift.onset + 1 <= calm


@pytest.mark.parametrize("make", list(SLOWER))
def test_a_jump_is_found_by_the_slower_ones_too(make: Make) -> None:
    for seed in range(20):
        values = np.concatenate([normal(seed, 300), normal(seed + 100, 20) + 1.5])
        at, shift = alarms(make(), values)[0]
        assert 1 <= at - 300 + 1 <= SLOWER[make]
        assert at - shift.onset + 1 <= 300


@pytest.mark.parametrize(
    ("make", "share"),
    [
        (Cusum, 0.98),
        (Ewma, 0.9),
        (Bocpd, 0.98),
        (Confirmed, 0.9),
        (FrozenCusum, 0.9),
        (UpsideDown, 0.9),
        (Vote, 0.9),
        (Adwin, 0.9),
        # It counts from its sum's lowest point, and chance has often lifted the sum before the jump came.
        (PageHinkley, 0.6),
    ],
)
def test_the_onset_is_within_one_of_the_truth(make: Make, share: float) -> None:
    onsets = []
    for seed in range(lives(make, 100)):
        at, shift = alarms(make(), np.concatenate([normal(seed, 300), normal(seed + 100, 20) + 3.0]))[0]
        onsets.append(at - shift.onset + 1)
    assert np.mean([abs(onset - 300) <= 1 for onset in onsets]) >= share
    assert np.median(onsets) == 300


# A ramp is what learning looks like from above.
@every(TameBand, UpsideDown)
def test_a_ramp_of_twenty_deviations_over_many_values_is_found_too(make: Make) -> None:
    for seed in range(10):
        values = normal(seed, 600)
        values[300:] += np.minimum(np.arange(300) * 0.15 / 8.0, 3.0)
        found = alarms(make(), values)
        assert found
        assert found[0][0] >= 300


def curve(seed: int, count: int) -> Values:
    """A loss that falls from 2.3 towards 0.3, as of a network that learns fast, with noise in proportion."""
    return (0.3 + 2.0 * np.exp(-np.arange(count) / 20)) * (1.0 + normal(seed, count, 0.0, 0.1))


def test_a_shift_after_a_short_segment_is_found_by_cusum() -> None:
    # 64 values, all of them from the learning curve: where the mean and spread of a long window are blind.
    for seed in range(20):
        at, shift = alarms(Cusum(), np.concatenate([curve(seed, 64), curve(seed + 100, 64)]))[0]
        assert 64 <= at < 74
        assert at - shift.onset + 1 in range(60, 65)


def test_a_small_jump_after_a_short_segment_is_found_by_cusum() -> None:
    # Four deviations: a level that rises as readily as it falls while the world is young would swallow them.
    found = [alarms(Cusum(), np.concatenate([normal(s, 64), normal(s + 100, 60) + 0.6])) for s in range(50)]
    assert all(alarm and alarm[0][0] >= 64 for alarm in found)


def test_page_hinkley_needs_the_curve_to_be_over() -> None:
    # Its mean and spread are those of a hundred values, which after 64 are those of the curve: it is promised later.
    for seed in range(20):
        at, _ = alarms(PageHinkley(), np.concatenate([curve(seed, 600), curve(seed + 100, 64)]))[0]
        assert 600 <= at < 606


# A floor with a unit, and logarithms of densities, which have one.
@every(TameBand, Bocpd)
@pytest.mark.parametrize("unit", [2.0**10, 2.0**-10])
def test_a_unit_that_is_a_power_of_two_changes_no_digit(make: Make, unit: float) -> None:
    values = np.concatenate([normal(0, 300), normal(1, 20) + 2.0])
    assert trace(make(), values) == trace(make(), values * unit)


@every(TameBand)
@pytest.mark.parametrize("unit", [1000.0, 1e-3])
def test_the_unit_does_not_matter(make: Make, unit: float) -> None:
    values = np.concatenate([normal(0, 300), normal(1, 20) + 2.0, normal(2, 200)])
    ours, theirs = alarms(make(), values), alarms(make(), values * unit)
    assert [(at, shift.onset) for at, shift in ours] == [(at, shift.onset) for at, shift in theirs]
    assert len(ours) >= 1
    assert ours[0][1].statistic == pytest.approx(theirs[0][1].statistic, rel=1e-9)


STRANGE = [math.nan, math.inf, -math.inf, 1e200, -1e200]


@every(TameBand)
@pytest.mark.parametrize("strange", STRANGE)
def test_one_strange_value_neither_fires_nor_breaks_anything(make: Make, strange: float) -> None:
    for at in (0, 30, 200) if make is Bocpd else (0, 1, 10, 29, 30, 31, 200):
        values = normal(at, 1000)
        values[at] = strange
        detector = make()
        assert alarms(detector, values) == []
        assert np.isfinite(numbers(detector.state_dict())).all()
        later, _ = alarms(detector, normal(1, 20) + 3.0)[0]
        assert later < SLOWER.get(make, 6)


# What is not a number is no fall.
@every(UpsideDown)
@pytest.mark.parametrize("strange", STRANGE)
def test_a_row_of_strange_values_is_a_shift(make: Make, strange: float) -> None:
    detector = make()
    assert alarms(detector, normal(0, 300)) == []
    found = [shift for _, shift in trace(detector, [strange] * SLOWER.get(make, 6)) if shift is not None]
    assert found
    assert math.isfinite(found[0].statistic)


# The published band goes on with the values of the new world in its window.
@every(TameBand)
def test_rearm_drops_the_suspicion_and_keeps_the_reference(make: Make) -> None:
    detector = make()
    trace(detector, normal(0, 300))
    for value in normal(1, 20) + 3.0:
        if detector.update(float(value)):
            break
    assert detector.statistic > detector.threshold
    detector.rearm()
    assert detector.statistic == 0.0
    # The old world is no shift, and a new one is found at once, for the reference is still there.
    assert [shift for _, shift in trace(detector, normal(2, 200)) if shift is not None] == []
    assert alarms(detector, normal(3, 20) + 3.0)[0][0] < SLOWER.get(make, 6)


# A window of values does not know which of them were suspect before it spoke up.
@every(TameBand, Adwin)
def test_what_was_dropped_is_not_counted_to_the_next_shift(make: Make) -> None:
    detector = make()
    trace(detector, normal(0, 300))
    trace(detector, normal(1, 2) + 3.0)
    detector.rearm()
    found = [(at, shift) for at, (_, shift) in enumerate(trace(detector, normal(2, 10) + 3.0)) if shift is not None]
    assert found[0][1].onset == found[0][0] + 1


@every()
def test_reset_forgets_everything(make: Make) -> None:
    detector = make()
    trace(detector, normal(0, 306))
    detector.reset()
    world = np.concatenate([normal(4, 100, 50.0, 5.0), normal(5, 20, 200.0, 5.0)])
    assert trace(detector, world) == trace(make(), world)


@every()
@pytest.mark.parametrize("at", [1, 15, 150, 302])
def test_a_restored_detector_goes_on_identically(make: Make, at: int) -> None:
    detector, twin = make(), make()
    values = np.concatenate([normal(0, 300), normal(1, 10) + 3.0])
    trace(detector, values[:at])
    twin.load_state_dict(copy.deepcopy(detector.state_dict()))
    assert twin.statistic == detector.statistic
    assert trace(twin, values[at:]) == trace(detector, values[at:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cusum(threshold=0.0), "threshold=0.0"),
        (lambda: Cusum(allowance=-1.0), "allowance=-1.0"),
        (lambda: Cusum(allowance=4.0, cap=4.0), "allowance=4.0, cap=4.0"),
        (lambda: Cusum(memory=1), "memory=1"),
        (lambda: Cusum(warmup=1), "warmup=1"),
        (lambda: Cusum(floor=-0.1), "floor=-0.1"),
        (lambda: PageHinkley(threshold=-2.0), "threshold=-2.0"),
        (lambda: PageHinkley(delta=-0.5), "delta=-0.5"),
        (lambda: PageHinkley(memory=1), "memory=1"),
        (lambda: PageHinkley(warmup=0), "warmup=0"),
        (lambda: Ewma(threshold=0.0), "threshold=0.0"),
        (lambda: Ewma(weight=1.5), "weight=1.5"),
        (lambda: Ewma(memory=1), "memory=1"),
        (lambda: TameBand(alpha=0.0), "alpha=0.0"),
        (lambda: TameBand(floor=0.0), "floor=0.0"),
        (lambda: TameBand(window=1), "window=1"),
        (lambda: Adwin(delta=1.0), "delta=1.0"),
        (lambda: Adwin(span=0.0), "span=0.0"),
        (lambda: Adwin(clock=0), "clock=0"),
        (lambda: Bocpd(threshold=1.0), "threshold=1.0"),
        (lambda: Bocpd(expected=1.0), "expected=1.0"),
        (lambda: Bocpd(runs=1), "runs=1"),
        (lambda: FrozenCusum(allowance=-0.1), "allowance=-0.1"),
        (lambda: FrozenCusum(warmup=5), "warmup=5"),
        (lambda: FrozenCusum(cap=0.4), "cap=0.4"),
        (lambda: Falling(least=3), "least=3"),
        (lambda: Falling(memory=10), "least=20, memory=10"),
        (lambda: Vote(needed=4), "needed <= 3.*needed=4"),
        (lambda: Vote(within=0), "within=0"),
        (lambda: Confirmed(significance=0.7), "significance=0.7"),
        (lambda: Confirmed(least=0), "least=0"),
        (lambda: Confirmed(least=2, memory=5, significance=1e-6), "significance=1e-06. Raise"),
        *((lambda make=make: make(cooldown=-1), "cooldown=-1") for make in ALL),
    ],
)
def test_bad_settings_are_refused_with_their_numbers(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@every()
def test_after_a_rearm_it_is_silent_for_the_cool_down_and_not_longer(make: Make) -> None:
    world = np.concatenate([normal(0, 300), normal(1, 20) + 6.0])
    for cooldown in (0, 1, 25):
        detector = make(cooldown=cooldown)
        assert any(detector.update(float(value)) for value in world)
        detector.rearm()
        assert [shift for _, shift in trace(detector, normal(2, cooldown) + 6.0) if shift is not None] == []
        # What it saw in the silence was compared: it says so soon, unless the window has taken it in by then.
        after = [shift for _, shift in trace(detector, normal(3, 20) + 6.0) if shift is not None]
        assert after or make is TameBand
        detector.reset()
        assert [bool(shift) for _, shift in trace(detector, world)] == [
            bool(shift) for _, shift in trace(make(), world)
        ]


@every()
def test_the_cool_down_survives_a_restart(make: Make) -> None:
    detector, twin = make(cooldown=25), make(cooldown=25)
    trace(detector, normal(0, 300))
    detector.rearm()
    trace(detector, normal(1, 5))
    twin.load_state_dict(copy.deepcopy(detector.state_dict()))
    jump = normal(2, 60) + 6.0
    assert trace(twin, jump) == trace(detector, jump)


@every()
def test_a_copy_goes_its_own_way(make: Make) -> None:
    detector = make()
    trace(detector, normal(0, 300))
    twin = copy.deepcopy(detector)
    jump = normal(1, 20) + 3.0
    news = trace(detector, jump)
    trace(detector, normal(2, 50))
    assert trace(twin, jump) == news
