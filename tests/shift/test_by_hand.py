"""Detectors against sums that were done by hand, after a warm-up on a constant, where the spread is the floor."""

from __future__ import annotations

import pytest

from lifelong.shift.cusum import Cusum
from lifelong.shift.page_hinkley import PageHinkley


def test_cusum_adds_what_exceeds_the_allowance_up_to_the_cap() -> None:
    detector = Cusum(threshold=12.0, allowance=1.0, cap=4.0, floor=0.1)
    for _ in range(20):
        assert detector.update(1.0) is None
    # The level is 1 and the spread its floor, 0.1: 1.25 is 2.5 deviations, 1.5 above the allowance.
    detector.update(1.25)
    assert detector.statistic == pytest.approx(1.5)
    # What is learned of it is small (1/20), and a value that is far away counts for the cap alone.
    detector.update(100.0)
    assert detector.statistic == pytest.approx(1.5 + 3.0)
    detector.update(100.0)
    assert detector.statistic == pytest.approx(7.5)
    # Above two outliers' weight (6) the reference stands still: the same value counts the same as often as it comes.
    before = detector.state_dict()
    detector.update(100.0)
    shift = detector.update(100.0)
    assert {k: v for k, v in detector.state_dict().items() if k in ("level", "variance")} == {
        k: v for k, v in before.items() if k in ("level", "variance")
    }
    assert shift is not None
    assert (shift.onset, shift.threshold) == (5, 12.0)
    assert shift.statistic == pytest.approx(13.5)


def test_cusum_does_not_count_what_chance_did_before_the_jump() -> None:
    detector = Cusum(threshold=12.0, allowance=1.0, cap=4.0, floor=0.1)
    for _ in range(20):
        detector.update(1.0)
    # 1.5 deviations lift the sum by chance; of five values above zero, the first is less than half of the others.
    detector.update(1.15)
    assert detector.statistic == pytest.approx(0.5)
    shifts = [detector.update(100.0) for _ in range(4)]
    assert shifts[:3] == [None, None, None]
    assert shifts[3] is not None
    assert shifts[3].onset == 4
    assert shifts[3].statistic == pytest.approx(12.5)


def test_cusum_forgets_a_suspicion_at_the_pace_of_its_allowance() -> None:
    detector = Cusum(floor=0.1)
    for _ in range(20):
        detector.update(1.0)
    detector.update(1.2)
    assert detector.statistic == pytest.approx(1.0)
    # The level has moved to 1.01 and the variance to 0.002: back at 1.0, a value is -0.1 deviations.
    detector.update(1.0)
    assert detector.statistic == 0.0


def test_page_hinkley_adds_scores_less_delta_and_counts_from_the_lowest_point() -> None:
    detector = PageHinkley(threshold=15.0, delta=0.5, memory=100, warmup=30)
    for _ in range(30):
        assert detector.update(1.0) is None
    detector.update(1.1)
    assert detector.statistic == pytest.approx(0.5)
    detector.reset()
    for _ in range(30):
        detector.update(1.0)
    # A value counts for a cap of 15 / 2.5 = 6 deviations, less delta; three of them exceed the threshold.
    shifts = [detector.update(1e9) for _ in range(3)]
    assert shifts[:2] == [None, None]
    assert shifts[2] is not None
    assert shifts[2].onset == 3
    assert shifts[2].statistic == pytest.approx(16.5)
