"""A measure and a detector together: what is passed on, what is said, and what is remembered."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from unlabelled_worlds import ALL, OF_INPUTS, Make, batches, normal

from lifelong.check.law import saved
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift
from lifelong.shift.page_hinkley import PageHinkley
from lifelong.shift.unlabelled.entropy import Entropy
from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov
from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.watch import LIFT, Unlabelled


class Said:
    """A measure that says what the first number of a batch says."""

    sight: Sight = "inputs"

    def observe(self, rows: Tensor) -> float | None:
        return None if rows[0, 0] == -99.0 else float(rows[0, 0])

    def reset(self) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Noting(Cusum):
    """A detector that keeps what it was given."""

    __slots__ = ("given",)

    def __init__(self) -> None:
        super().__init__()
        self.given: list[float] = []

    def update(self, value: float) -> Shift | None:
        self.given.append(value)
        return None


def test_values_are_lifted_and_those_below_zero_are_zero() -> None:
    detector = Noting()
    watch = Unlabelled(Said(), detector)
    for value in (-99.0, 2.5, -3.0, 0.0, math.inf, -99.0):
        assert watch.update(torch.full((4, 2), value)) is None
    assert detector.given == [LIFT + 2.5, LIFT, LIFT, math.inf]
    assert (watch.statistic, watch.threshold) == (detector.statistic, detector.threshold)


def test_a_batch_without_rows_is_passed_over() -> None:
    watch, twin = Unlabelled(), Unlabelled()
    for rows in batches(0, 40):
        assert watch.update(rows[:0]) is None
        watch.update(rows)
        twin.update(rows)
    assert str(watch.state_dict()) == str(twin.state_dict())


@pytest.mark.parametrize("make", OF_INPUTS)
@pytest.mark.parametrize(
    ("detector", "early"),
    [
        (lambda: Unlabelled().detector, 0),
        (Cusum, 0),
        # It counts from its sum's lowest point, and chance may have lifted the sum before.
        (PageHinkley, 10),
    ],
)
def test_any_detector_will_do_and_the_onset_counts_batches(
    make: Make, detector: Callable[[], Detector], early: int
) -> None:
    watch = Unlabelled(make(), detector())
    for rows in batches(0, 150):
        assert watch.update(rows) is None
    found = [(at, shift) for at, rows in enumerate(batches(1, 12), start=1) if (shift := watch.update(rows + 2.0))]
    at, shift = found[0]
    assert at <= 10
    # The classifier sees the new world once it has been fitted to some of it.
    assert at - 4 <= shift.onset <= at + early
    assert shift.statistic > shift.threshold == watch.threshold


@pytest.mark.parametrize("size", [1, 7, 32])
def test_batches_of_another_size_are_no_shift(size: int) -> None:
    watch = Unlabelled()
    shown = [*batches(0, 100), *batches(1, 300, size), *batches(2, 100, 200)]
    assert [watch.update(rows) for rows in shown] == [None] * 500


def test_one_broken_batch_is_an_outlier_and_several_are_a_shift() -> None:
    watch = Unlabelled()
    broken = torch.full((32, 16), math.nan)
    for at, rows in enumerate(batches(0, 300)):
        assert watch.update(broken if at % 50 == 49 else rows) is None
    found = [watch.update(broken) for _ in range(6)]
    assert any(found)


def test_another_shape_of_inputs_is_a_shift() -> None:
    watch = Unlabelled()
    for rows in batches(0, 60):
        assert watch.update(rows) is None
    found = [watch.update(rows) is not None for rows in batches(1, 6, width=9)]
    assert any(found)
    watch.reset()
    for rows in batches(2, 60, width=9):
        assert watch.update(rows) is None


def test_after_a_reset_the_new_world_is_the_reference() -> None:
    watch, alarms = Unlabelled(), []
    for at, rows in enumerate([*batches(0, 100), *(rows + 3.0 for rows in batches(1, 100)), *batches(2, 100)]):
        if watch.update(rows) is not None:
            alarms.append(at)
            watch.reset()
    assert len(alarms) == 2
    assert 100 <= alarms[0] < 110
    assert 200 <= alarms[1] < 210


def test_rearm_keeps_the_reference() -> None:
    watch = Unlabelled()
    for rows in [*batches(0, 100), *(rows + 3.0 for rows in batches(1, 4))]:
        watch.update(rows)
    assert watch.statistic > 0.0
    watch.rearm()
    assert watch.statistic == 0.0
    assert [watch.update(rows) for rows in batches(2, 100)] == [None] * 100
    assert any(watch.update(rows + 3.0) for rows in batches(3, 10))


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("at", [5, 25, 104])
def test_a_restored_watch_goes_on_to_the_last_bit(make: Make, at: int) -> None:
    def told(watch: Unlabelled, shown: list[Tensor]) -> list[tuple[Shift | None, float]]:
        return [(watch.update(rows, rows), watch.statistic) for rows in shown]

    watch, twin = Unlabelled(make()), Unlabelled(make())
    shown = [*batches(0, 100), *(rows * 0.5 + 2.0 for rows in batches(1, 12))]
    told(watch, shown[:at])
    file = io.BytesIO()
    torch.save(saved(watch), file)
    file.seek(0)
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert told(twin, shown[at:]) == told(watch, shown[at:])


def test_measures_of_outputs_are_shown_the_outputs() -> None:
    watch, twin = Unlabelled(KolmogorovSmirnov(sight="outputs")), Unlabelled(KolmogorovSmirnov())
    for rows in batches(0, 50):
        watch.update(torch.zeros(32, 3), rows)
        twin.update(rows, None)
    assert str(watch.state_dict()) == str(twin.state_dict())


def test_outputs_that_are_missing_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"Entropy looks at the model's outputs, got none: call update\(inputs, outp"):
        Unlabelled(Entropy()).update(normal(0, 32))


def test_the_default_is_the_mmd() -> None:
    assert isinstance(Unlabelled().measure, Mmd)
    assert Unlabelled().measure is not Unlabelled().measure
