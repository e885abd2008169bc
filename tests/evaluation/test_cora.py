"""CORA's measures against numbers made by hand."""

from __future__ import annotations

import pytest
from courses import NAN, matrix

from lifelong.evaluation.cora import cora_forgetting, cora_zero_shot_transfer
from lifelong.evaluation.course import mean_of

#           A    B    C
ROWS = [
    [-20.0, 0.0, 1.0],
    [100.0, 4.0, 2.0],  # A
    [60.0, 10.0, 5.0],  # B
    [10.0, 12.0, 50.0],  # C
]


def test_forgetting_is_what_each_later_lesson_took_in_shares_of_the_largest_return() -> None:
    terms = cora_forgetting(matrix("ABC", ROWS))
    assert terms == {
        ("B", "A", 2): pytest.approx((100 - 60) / 100),
        ("C", "A", 3): pytest.approx((60 - 10) / 100),
        ("C", "B", 3): pytest.approx((10 - 12) / 12),
    }
    assert mean_of(terms) == pytest.approx((0.4 + 0.5 - 1 / 6) / 3)


def test_zero_shot_transfer_is_what_each_lesson_before_the_first_gave() -> None:
    assert cora_zero_shot_transfer(matrix("ABC", ROWS)) == {
        ("A", "B", 1): pytest.approx(4 / 12),
        ("A", "C", 1): pytest.approx(1 / 50),
        ("B", "C", 2): pytest.approx(3 / 50),
    }


def test_returns_below_zero_are_normalised_by_their_size() -> None:
    terms = cora_forgetting(matrix("AB", [[-200, -50], [-100, -50], [-150, -10]]))
    assert terms == {("B", "A", 2): pytest.approx(50 / 200)}


def test_a_task_that_comes_back_does_not_forget_by_its_own_lesson() -> None:
    scores = matrix("ABA", [[0, 0], [8, 2], [4, 10], [6, 5]])
    assert cora_forgetting(scores) == {("B", "A", 2): pytest.approx(0.5), ("A", "B", 3): pytest.approx(0.5)}
    assert cora_zero_shot_transfer(scores) == {("A", "B", 1): pytest.approx(0.2)}


def test_a_task_that_is_never_taught_receives_from_all() -> None:
    scores = matrix("AB", [[0, 0, 0], [1, 0, 0.5], [1, 1, 0.25]], tasks="ABC")
    transfer = cora_zero_shot_transfer(scores)
    assert transfer["A", "C", 1] == pytest.approx(1.0)
    assert transfer["B", "C", 2] == pytest.approx(-0.5)


def test_what_is_not_known_or_nothing_but_zero_says_nothing() -> None:
    scores = matrix("ABC", [[0, 0, 0], [0.5, NAN, 0], [NAN, 1, 0], [0.5, 1, 0]])
    assert cora_forgetting(scores) == {("B", "A", 2): None, ("C", "A", 3): None, ("C", "B", 3): 0.0}
    assert cora_zero_shot_transfer(scores) == {("A", "B", 1): None, ("A", "C", 1): None, ("B", "C", 2): None}
