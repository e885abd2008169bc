"""The score matrix against hand-made matrices and a second computation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lifelong.evaluation.matrix import (
    ScoreMatrix,
    acc,
    bwt,
    forgetting,
    fwt,
    learning_accuracy,
    matrix_of,
)
from lifelong.evaluation.trace import trace_of
from lifelong.events import Event, RunStarted, TaskFacts, TaskScored

NAN = float("nan")


def matrix(segments: str, rows: list[list[float]]) -> ScoreMatrix:
    return ScoreMatrix(tuple(dict.fromkeys(segments)), tuple(segments), np.array(rows, dtype=float))


@pytest.mark.parametrize("size", [3, 5, 10, 20])
def test_ten_points_lost_on_every_old_task_are_ten_points_at_any_number_of_tasks(size: int) -> None:
    scores = np.full((size + 1, size), 10.0)
    for k in range(1, size + 1):
        scores[k, :k] = 80.0
        scores[k, k - 1] = 90.0
    lost = ScoreMatrix(tuple(map(str, range(size))), tuple(map(str, range(size))), scores)
    assert bwt(lost) == pytest.approx(-10.0)
    assert forgetting(lost) == pytest.approx(10.0)
    assert learning_accuracy(lost) == pytest.approx(90.0)
    assert acc(lost) == pytest.approx((80.0 * (size - 1) + 90.0) / size)
    assert fwt(lost) == pytest.approx(0.0)


def test_a_learner_that_gets_better_at_old_tasks_forgets_a_negative_amount() -> None:
    better = matrix("ABC", [[0, 0, 0], [50, 5, 0], [60, 70, 8], [65, 80, 90]])
    assert forgetting(better) == pytest.approx(((60 - 65) + (70 - 80)) / 2)
    assert bwt(better) == pytest.approx(((65 - 50) + (80 - 70)) / 2)
    assert fwt(better) == pytest.approx((5 + 8) / 2)


def test_forward_transfer_is_measured_against_the_untrained_learner_not_against_zero() -> None:
    assert fwt(matrix("AB", [[10, 12], [90, 20], [80, 90]])) == pytest.approx(20 - 12)


def test_a_recurring_task_is_anchored_at_its_last_visit() -> None:
    #                     A   B   C   D
    rows: list[list[float]] = [
        [10, 10, 10, 10],
        [90, 12, 11, 10],  # A
        [50, 88, 14, 13],  # B
        [40, 70, 92, 15],  # C
        [95, 60, 80, 17],  # A again
        [91, 55, 78, 85],  # D
    ]
    recurring = matrix("ABCAD", rows)
    assert acc(recurring) == pytest.approx((91 + 55 + 78 + 85) / 4)
    assert learning_accuracy(recurring) == pytest.approx((90 + 88 + 92 + 95 + 85) / 5)
    assert bwt(recurring) == pytest.approx(((91 - 95) + (55 - 88) + (78 - 92)) / 3)
    assert forgetting(recurring) == pytest.approx(((95 - 91) + (88 - 55) + (92 - 78)) / 3)
    assert fwt(recurring) == pytest.approx(((12 - 10) + (14 - 10) + (17 - 10)) / 3)


def test_a_task_taught_last_is_not_an_old_task_even_where_it_recurs() -> None:
    recurring = matrix("ABA", [[0, 0], [90, 0], [10, 80], [95, 70]])
    assert bwt(recurring) == pytest.approx(70 - 80)
    assert forgetting(recurring) == pytest.approx(80 - 70)


def test_what_is_not_defined_is_none() -> None:
    single = matrix("A", [[10], [90]])
    assert (bwt(single), fwt(single), forgetting(single)) == (None, None, None)
    assert (acc(single), learning_accuracy(single)) == (90.0, 90.0)
    untrained = ScoreMatrix(("A", "B"), (), np.array([[10.0, 10.0]]))
    assert [measure(untrained) for measure in (acc, bwt, fwt, forgetting, learning_accuracy)] == [None] * 5


def test_terms_that_were_not_judged_leave_both_the_sum_and_its_divisor() -> None:
    holes = matrix("ABC", [[NAN, NAN, NAN], [90, NAN, NAN], [85, 80, NAN], [70, NAN, 60]])
    assert bwt(holes) == pytest.approx(70 - 90)
    assert forgetting(holes) == pytest.approx(90 - 70)
    assert acc(holes) == pytest.approx((70 + 60) / 2)
    assert fwt(holes) is None


@pytest.mark.parametrize("segments", ["ABCD", "ABCAD", "AABBA", "ABABAB", "ABCDEFGHAB"])
def test_all_measures_agree_with_a_second_computation_on_random_matrices(segments: str) -> None:
    tasks = tuple(dict.fromkeys(segments))
    scores = np.random.default_rng(3).uniform(0, 100, (len(segments) + 1, len(tasks)))
    order = np.array([tasks.index(letter) for letter in segments])
    taught = order[:, None] == np.arange(len(tasks))[None, :]
    after = scores[1:]
    first, last = taught.argmax(0), len(segments) - 1 - taught[::-1].argmax(0)
    old = np.arange(len(tasks)) != order[-1]
    columns = np.arange(len(tasks))
    since_first = np.arange(len(segments))[:, None] >= first[None, :]
    best = np.where(since_first[:-1], after[:-1], -np.inf).max(0)

    random = ScoreMatrix(tasks, tuple(segments), scores)
    assert acc(random) == pytest.approx(after[-1].mean())
    assert learning_accuracy(random) == pytest.approx(after[taught].mean())
    assert bwt(random) == pytest.approx((after[-1] - after[last, columns])[old].mean())
    assert forgetting(random) == pytest.approx((best - after[-1])[old].mean())
    assert fwt(random) == pytest.approx((scores[first, columns] - scores[0])[1:].mean())


def run(segments: str, judged: list[tuple[int, str, float]]) -> list[tuple[int, Event]]:
    tasks = tuple(TaskFacts(name, "accuracy", True, 0.0, 1.0, 10) for name in dict.fromkeys(segments))
    starts = tuple(10 * k for k in range(len(segments)))
    started = RunStarted("s", "a", 0, "cpu", tasks, tuple(segments), starts, 10 * len(segments))
    scored = [(10 * row, TaskScored(task, v, v, 10, row, True, True)) for row, task, v in judged]
    return [(0, started), *scored]


def test_an_interrupted_run_ends_with_its_last_whole_row() -> None:
    whole = [(row, task, row + 0.5) for row, task in itertools.product(range(3), "ABC")]
    cut = matrix_of(trace_of(run("ABCAD", [*whole, (3, "A", 0.1)])))
    assert cut.segments == ("A", "B")
    assert cut.tasks == ("A", "B", "C", "D")
    assert cut.scores[:, 0].tolist() == [0.5, 1.5, 2.5]
    assert acc(cut) == pytest.approx(2.5)


def test_looks_within_a_segment_are_no_rows() -> None:
    records = run("AB", [(0, "A", 0.1), (0, "B", 0.1), (1, "A", 0.9), (1, "B", 0.2)])
    records.append((15, TaskScored("A", 0.3, 0.3, 10, 1, False, True)))
    assert matrix_of(trace_of(records)).scores.tolist() == [[0.1, 0.1], [0.9, 0.2]]


def test_a_judged_score_that_is_not_a_number_counts_as_the_worst_not_as_absent() -> None:
    records = run("AB", [(0, "A", 0.1), (0, "B", 0.1), (1, "A", 0.9), (1, "B", 0.1), (2, "A", NAN), (2, "B", 1)])
    assert acc(matrix_of(trace_of(records))) == pytest.approx(0.5)


def test_wrong_shapes_and_names_are_told() -> None:
    with pytest.raises(ValueError, match=r"make a matrix of shape \(3, 2\).*got \(2, 2\)"):
        ScoreMatrix(("A", "B"), ("A", "B"), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="'X'"):
        ScoreMatrix(("A", "B"), ("A", "X"), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="twice"):
        ScoreMatrix(("A", "A"), ("A",), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="RunStarted"):
        trace_of([])


def test_a_matrix_is_printed_to_be_read() -> None:
    scores = np.array([[-1020.7, 0.0213, np.nan], [-220.4, 0.0213, 12.3], [-220.4, 0.88, -0.04]])
    assert str(ScoreMatrix(("swing", "B", "C"), ("swing", "B"), scores)).splitlines() == [
        "            swing      B     C",
        "untrained  −1,021  0.021     –",
        "1  swing     −220  0.021  12.3",
        "2  B         −220  0.880   0.0",
    ]
