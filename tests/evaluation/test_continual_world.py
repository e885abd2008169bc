"""Continual World's measures against numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from courses import NAN, course

from lifelong.evaluation.continual_world import cw_forgetting, cw_forward_transfer, cw_interval, cw_performance
from lifelong.evaluation.course import mean_of

#        A    B    C
LOOKS = {
    0: [0.0, 0.1, 0.0],
    2: [0.4, 0.1, 0.0],
    4: [0.8, 0.2, 0.0],
    6: [0.6, 0.6, 0.1],
    8: [0.5, 1.0, 0.2],
    10: [0.4, 0.8, 0.4],
    12: [0.3, 0.6, 0.6],
}


def test_performance_is_that_of_the_end() -> None:
    assert cw_performance(course("ABC", LOOKS)) == {"A": 0.3, "B": 0.6, "C": 0.6}
    late = cw_performance(course("ABC", LOOKS), last=2)
    assert late == {"A": pytest.approx(0.35), "B": pytest.approx(0.7), "C": pytest.approx(0.5)}
    assert mean_of(cw_performance(course("ABC", LOOKS))) == pytest.approx(0.5)


def test_forgetting_is_positive_where_something_was_lost_and_none_of_the_task_taught_last() -> None:
    terms = cw_forgetting(course("ABC", LOOKS))
    assert terms == {"A": pytest.approx(0.8 - 0.3), "B": pytest.approx(1.0 - 0.6), "C": 0.0}
    assert mean_of(terms) == pytest.approx(0.9 / 3)
    # Both ends are means over as many judgings: (0.4 + 0.8) / 2 of A, (0.6 + 1.0) / 2 of B.
    late = cw_forgetting(course("ABC", LOOKS), last=2)
    assert late == {"A": pytest.approx(0.6 - 0.35), "B": pytest.approx(0.8 - 0.7), "C": 0.0}


def test_forward_transfer_is_the_share_of_what_was_left_to_gain() -> None:
    # Mean heights while taught: A (0.0, 0.4, 0.8) = 0.4, B (0.2, 0.6, 1.0) = 0.6, C (0.2, 0.4, 0.6) = 0.4.
    references = {
        "A": [course("A", {0: [0.0], 2: [0.4], 4: [0.8]})],
        "B": [course("B", {0: [0.0], 4: [0.4]}), course("B", {0: [0.2], 4: [0.2]})],
        "C": [course("C", {0: [0.5], 4: [1.0]})],
    }
    terms = cw_forward_transfer(course("ABC", LOOKS), references)
    assert terms["A"] == pytest.approx(0.0)
    assert terms["B"] == pytest.approx((0.6 - 0.2) / (1 - 0.2))
    assert terms["C"] == pytest.approx((0.4 - 0.75) / (1 - 0.75))
    assert mean_of(terms) == pytest.approx((0.0 + 0.5 - 1.4) / 3)


@pytest.mark.parametrize("perfect", [1.0, 1.25])
def test_a_reference_that_leaves_nothing_to_gain_says_nothing(perfect: float) -> None:
    references = {"A": [course("A", {0: [perfect], 4: [perfect]})], "B": [course("B", {0: [0.2], 4: [0.2]})]}
    terms = cw_forward_transfer(course("ABC", LOOKS), references)
    assert terms == {"A": None, "B": pytest.approx(0.5), "C": None}


def test_a_task_that_comes_back_is_new_once_and_followed_from_its_last_visit() -> None:
    #                    A    B
    looks = {0: [0.0, 0.0], 4: [0.6, 0.0], 8: [0.2, 0.8], 12: [1.0, 0.5]}
    returned = course("ABA", looks)
    assert cw_forgetting(returned) == {"A": 0.0, "B": pytest.approx(0.3)}
    assert cw_performance(returned) == {"A": 1.0, "B": 0.5}
    terms = cw_forward_transfer(returned, {"A": [course("A", {0: [0.0], 4: [0.2]})]})
    assert terms == {"A": pytest.approx((0.3 - 0.1) / (1 - 0.1)), "B": None}


def test_a_reference_of_another_task_length_or_kind_is_refused() -> None:
    run = course("ABC", LOOKS)
    with pytest.raises(ValueError, match="taught it alone, got one of: B"):
        cw_forward_transfer(run, {"A": [course("B", {0: [0.0], 4: [0.4]})]})
    with pytest.raises(ValueError, match="taught it alone, got one of: A, B"):
        cw_forward_transfer(run, {"A": [course("AB", {0: [0, 0], 8: [0, 0]})]})
    with pytest.raises(ValueError, match="4 experiences of 256 environment steps, got 8 experiences of 256"):
        cw_forward_transfer(run, {"A": [course("A", {0: [0.0], 8: [0.4]}, length=8)]})
    with pytest.raises(ValueError, match="got 4 experiences of 8 environment steps"):
        cw_forward_transfer(run, {"A": [course("A", {0: [0.0], 4: [0.4]}, env_steps_per_experience=8)]})


def test_more_judgings_than_there_are_at_the_end_are_refused() -> None:
    with pytest.raises(ValueError, match="last visit to 'C' holds 2 judgings, fewer than the 3"):
        cw_performance(course("ABC", LOOKS), last=3)
    with pytest.raises(ValueError, match="last counts judgings"):
        cw_forgetting(course("ABC", LOOKS), last=0)


def test_what_was_not_judged_or_taught_is_not_made_up() -> None:
    assert cw_performance(course("", {0: []})) == {}
    gaps = course("AB", {0: [NAN, 0.0], 4: [0.8, 0.1], 8: [NAN, 0.5]})
    assert cw_performance(gaps) == {"A": None, "B": 0.5}
    assert cw_forgetting(gaps) == {"A": None, "B": 0.0}
    # A was not judged before its lesson, so nobody knows how it began.
    assert cw_forward_transfer(gaps, {"A": [course("A", {0: [0.0], 4: [0.2]})]})["A"] is None


def test_the_interval_holds_the_mean_is_the_same_every_time_and_shrinks_with_more_runs() -> None:
    few = np.random.default_rng(1).normal(0.5, 0.1, 5).tolist()
    low, high = cw_interval(few)
    assert low < np.mean(few) < high
    assert cw_interval(few) == (low, high)
    assert cw_interval(few, seed=1) != (low, high)
    many = np.random.default_rng(1).normal(0.5, 0.1, 500).tolist()
    wide, narrow = high - low, np.diff(cw_interval(many))[0]
    assert narrow < wide / 5
    # The normal theory: 1.645 standard errors to each side.
    assert narrow == pytest.approx(2 * 1.645 * np.std(many) / np.sqrt(500), rel=0.1)
    assert cw_interval([0.3, 0.3]) == (pytest.approx(0.3), pytest.approx(0.3))


def test_an_interval_of_one_run_or_an_odd_level_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two runs, got 1"):
        cw_interval([0.5])
    with pytest.raises(ValueError, match="0 < level < 1"):
        cw_interval([0.5, 0.6], level=90)
