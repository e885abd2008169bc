"""Means, intervals and paired differences, against numbers made by hand and by another implementation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lifelong.study.statistics import Estimate, estimate, interval, paired, tail


def test_a_mean_over_what_is_known() -> None:
    found = estimate([1.0, None, 3.0, math.nan, 5.0])
    assert found is not None
    assert (found.mean, found.n) == (3.0, 3)


def test_one_seed_has_no_interval_and_none_has_nothing() -> None:
    assert estimate([0.4]) == Estimate(0.4, None, None, 1)
    assert estimate([None, math.nan]) is None
    assert estimate([]) is None


def test_equal_seeds_have_an_interval_without_width() -> None:
    assert estimate([0.1, 0.1, 0.1]) == Estimate(pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 3)


def test_the_band_of_three_numbers_is_that_of_all_their_resamples() -> None:
    values = [0.0, 1.0, 5.0]
    every = np.array([np.mean(picked) for picked in itertools.product(values, repeat=3)])
    low, high = np.quantile(every, [tail(3), 1 - tail(3)], method="inverted_cdf")
    # (0, 0, 0) and (5, 5, 5) have a chance of 1/27 each, more than what is left outside.
    assert (low, high) == (0.0, 5.0)
    found = interval(np.array(values)[:, None])
    assert (found[0][0], found[1][0]) == pytest.approx((low, high))


@pytest.mark.parametrize("seeds", [2, 3, 5, 7])
def test_of_few_seeds_the_interval_of_a_mean_is_students(seeds: int) -> None:
    drawn = np.random.default_rng(2).normal(0.7, 0.1, (400, seeds))
    held = 0
    for values in drawn:
        found = estimate(values.tolist())
        theirs = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
        held += found.low < 0.7 < found.high
    # Resampling holds the truth in 52 of 100 where seeds are two, and in 92 where they are five.
    assert 0.925 < held / 400 < 0.975


def test_the_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).normal(0.8, 0.05, 8)
    found = estimate(values.tolist())
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=1 - 2 * tail(8),
        n_resamples=50_000,
        method="percentile",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    assert found is not None
    assert found.low == pytest.approx(theirs.low, abs=0.002)
    assert found.high == pytest.approx(theirs.high, abs=0.002)
    # Student's interval of the mean.
    half = stats.t.ppf(0.975, 7) * values.std(ddof=1) / math.sqrt(8)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.12)


@pytest.mark.parametrize(("seeds", "least"), [(5, 0.9), (10, 0.92), (20, 0.93)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(seeds: int, least: float) -> None:
    """Of 1,000 studies of a normal score; plain percentiles hold it in 84, 90 and 92 of 100."""
    drawn = np.random.default_rng(5).normal(0.0, 1.0, (seeds, 1000))
    low, high = interval(drawn)
    assert least < ((low < 0) & (high > 0)).mean() < 0.97


def test_a_band_of_one_seed_is_its_line() -> None:
    low, high = interval(np.array([[0.1, 0.7]]))
    assert low.tolist() == high.tolist() == [0.1, 0.7]


def test_the_same_numbers_give_the_same_interval() -> None:
    assert estimate([0.3, 0.5, 0.9]) == estimate([0.3, 0.5, 0.9])


def test_a_band_is_the_interval_of_each_column() -> None:
    columns = np.random.default_rng(0).normal(size=(8, 4))
    low, high = interval(columns)
    for k in range(4):
        alone = estimate(columns[:, k].tolist())
        assert alone is not None
        assert (alone.low, alone.high) == pytest.approx((low[k], high[k]))


def test_differences_are_taken_seed_by_seed() -> None:
    # Far apart from seed to seed, yet always 0.01 better: only pairs can show that.
    base = {0: 0.1, 1: 0.5, 2: 0.9, 7: 0.3}
    better = {2: 0.911, 0: 0.11, 1: 0.509, 9: 0.0}
    found = paired(better, base)
    assert found is not None
    assert (found.n, found.sign) == (3, 1)
    assert found.mean == pytest.approx(0.01)
    assert found.low is not None
    assert 0.007 < found.low < 0.01


def test_a_few_seeds_that_happen_to_agree_settle_nothing() -> None:
    few = paired({0: 0.6, 1: 0.7}, {0: 0.5, 1: 0.6})
    many = paired(dict.fromkeys(range(9), 0.6), dict.fromkeys(range(9), 0.5))
    assert few is not None
    assert many is not None
    assert (few.mean, few.sign, many.sign) == (pytest.approx(0.1), 0, 1)


def test_no_interval_leaves_what_can_be() -> None:
    free, cut = estimate([0.2, 0.9]), estimate([0.2, 0.9], (0.0, 1.0))
    assert free is not None
    assert cut is not None
    assert (free.low, free.high) == (pytest.approx(-3.897, abs=1e-3), pytest.approx(4.997, abs=1e-3))
    assert (cut.mean, cut.low, cut.high) == (free.mean, 0.0, 1.0)
    rounded = estimate([1.0 + 1e-16, 1.0, 1.0 + 3e-16], (0.0, 1.0))
    assert rounded is not None
    assert rounded.low is not None
    assert rounded.high is not None
    assert rounded.low <= rounded.mean <= rounded.high


def test_differences_of_pairs_that_are_not_whole() -> None:
    base = {0: 0.1, 1: 0.5}
    assert paired({5: 1.0}, base) is None
    assert paired({0: None, 1: 0.6}, base) == Estimate(pytest.approx(0.1), None, None, 1)


@pytest.mark.parametrize(
    ("low", "high", "sign"), [(0.1, 0.2, 1), (-0.2, -0.1, -1), (-0.1, 0.2, 0), (0.0, 0.2, 0), (None, None, 0)]
)
def test_a_difference_has_a_sign_where_its_whole_interval_has(low: float | None, high: float | None, sign: int) -> None:
    assert Estimate(0.1, low, high, 3).sign == sign
