"""The measures of l2metrics against numbers made by hand."""

from __future__ import annotations

import pytest
from courses import NAN, course, matrix

from lifelong.evaluation.course import mean_of
from lifelong.evaluation.l2metrics import (
    l2_backward_transfer,
    l2_forward_transfer,
    l2_performance_maintenance,
    l2_relative_performance,
    l2_sample_efficiency,
)

#          A    B    C
ROWS = [
    [0.1, 0.0, 0.2],
    [0.8, 0.1, 0.1],  # A
    [0.6, 0.9, 0.3],  # B
    [0.4, 0.6, 0.7],  # C
]


def test_maintenance_is_the_mean_change_since_a_task_was_taught() -> None:
    terms = l2_performance_maintenance(matrix("ABC", ROWS))
    assert terms == {"A": pytest.approx((-0.2 - 0.4) / 2), "B": pytest.approx(-0.3), "C": None}
    assert mean_of(terms) == pytest.approx((-0.3 - 0.3) / 2)


def test_maintenance_of_a_task_that_comes_back_starts_anew() -> None:
    terms = l2_performance_maintenance(matrix("ABAB", [[0, 0], [0.5, 0], [0.25, 0.75], [1.0, 0.5], [0.9, 0.8]]))
    # A: 0.25 - 0.5 before it came back, 0.9 - 1.0 after; B: 0.5 - 0.75.
    assert terms == {"A": pytest.approx((-0.25 - 0.1) / 2), "B": pytest.approx(-0.25)}


def test_a_row_in_which_a_task_was_not_judged_is_left_out() -> None:
    rows = [[0, 0, 0], [0.8, 0, 0], [NAN, 0.9, 0], [0.6, 0.9, 0.5]]
    assert l2_performance_maintenance(matrix("ABC", rows))["A"] == pytest.approx(-0.2)


def test_contrasts_are_between_the_rows_around_a_lesson() -> None:
    scores = matrix("ABC", ROWS)
    forward = l2_forward_transfer(scores)
    assert forward == {
        ("A", "B", 1): pytest.approx((0.1 - 0.0) / (0.1 + 0.0)),
        ("A", "C", 1): pytest.approx((0.1 - 0.2) / (0.1 + 0.2)),
        ("B", "C", 2): pytest.approx((0.3 - 0.1) / (0.3 + 0.1)),
    }
    assert mean_of(forward) == pytest.approx((1.0 - 1 / 3 + 0.5) / 3)
    assert l2_backward_transfer(scores) == {
        ("B", "A", 2): pytest.approx((0.6 - 0.8) / 1.4),
        ("C", "A", 3): pytest.approx((0.4 - 0.6) / 1.0),
        ("C", "B", 3): pytest.approx((0.6 - 0.9) / 1.5),
    }


def test_a_contrast_of_scores_that_are_not_positive_says_nothing() -> None:
    scores = matrix("ABC", [[0, 0, -0.5], [0.5, 0, 0.5], [-0.1, 0.9, 0.6], [0.2, NAN, 0.6]])
    assert l2_forward_transfer(scores) == {
        ("A", "B", 1): None,
        ("A", "C", 1): None,
        ("B", "C", 2): pytest.approx(0.1 / 1.1),
    }
    assert set(l2_backward_transfer(scores).values()) == {None}


def test_a_task_that_comes_back_has_been_taught_before_and_does_not_transfer_to_itself() -> None:
    scores = matrix("ABA", [[0.1, 0.1], [0.5, 0.3], [0.3, 0.9], [0.6, 0.1]])
    assert set(l2_forward_transfer(scores)) == {("A", "B", 1)}
    assert l2_backward_transfer(scores) == {
        ("B", "A", 2): pytest.approx(-0.2 / 0.8),
        ("A", "B", 3): pytest.approx(-0.8 / 1.0),
    }


LOOKS = {0: [0.0, 0.0], 2: [0.6, 0.0], 4: [0.6, 0.2], 6: [0.5, 0.4], 8: [0.4, 0.8]}


def test_relative_performance_is_a_ratio_of_areas_of_equal_length() -> None:
    # Mean heights while taught: A (0 + 0.6) / 4 + 0.6 / 2 = 0.45, B (0.2 + 0.4) / 4 + (0.4 + 0.8) / 4 = 0.45.
    run = course("AB", LOOKS)
    experts = {"A": course("A", {0: [0.0], 4: [0.6]}), "B": course("B", {0: [0.9], 4: [0.9]})}
    assert l2_relative_performance(run, experts) == {"A": pytest.approx(1.5), "B": pytest.approx(0.5)}
    # Of the longer expert the first four experiences count: (0.0 + 0.3) / 2.
    longer = {"A": course("A", {0: [0.0], 8: [0.6]}, length=8)}
    assert l2_relative_performance(run, longer) == {"A": pytest.approx(3.0), "B": None}


def test_relative_performance_takes_a_task_that_comes_back_for_one_long_lesson() -> None:
    run = course("ABA", {0: [0.0, 0], 4: [0.8, 0], 8: [0.4, 1], 12: [0.8, 1]})
    alone = {"A": course("A", {0: [0.0], 4: [0.5], 8: [1.0]}, length=8)}
    # (0.4 + 0.6) / 2 against 0.5.
    assert l2_relative_performance(run, alone)["A"] == pytest.approx(1.0)
    # The run reaches its best, 0.8, after 4 experiences; the expert 1.0 after 8.
    assert l2_sample_efficiency(run, alone)["A"] == pytest.approx(0.8 / 1.0 * 8 / 4)


def test_sample_efficiency_is_how_high_times_how_soon() -> None:
    # A reaches 0.6 after 2, B 0.8 after 4.
    experts = {"A": course("A", {0: [0.0], 4: [0.3]}), "B": course("B", {0: [0.0], 1: [1.0], 4: [0.5]})}
    assert l2_sample_efficiency(course("AB", LOOKS), experts) == {
        "A": pytest.approx(0.6 / 0.3 * 4 / 2),
        "B": pytest.approx(0.8 / 1.0 * 1 / 4),
    }


def test_an_expert_that_learned_nothing_says_nothing() -> None:
    run = course("AB", LOOKS)
    experts = {"A": course("A", {0: [0.0], 4: [0.0]}), "B": course("B", {0: [0.9], 4: [-0.9]})}
    assert l2_relative_performance(run, experts) == {"A": None, "B": None}
    # B's expert was at its best before its first lesson.
    assert l2_sample_efficiency(run, experts) == {"A": None, "B": None}


def test_a_reference_of_another_task_or_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="taught it alone"):
        l2_relative_performance(course("AB", LOOKS), {"A": course("B", {0: [0.0], 4: [0.6]})})
    with pytest.raises(ValueError, match="as many environment steps as the run: 256, got 8"):
        l2_sample_efficiency(course("AB", LOOKS), {"A": course("A", {0: [0.0], 4: [0.6]}, env_steps_per_experience=8)})
