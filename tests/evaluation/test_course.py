"""Scores over time, read off a record."""

from __future__ import annotations

import numpy as np
import pytest
from courses import NAN, acted, course

from lifelong.evaluation.course import area, course_of, mean_of
from lifelong.evaluation.trace import Stretch, trace_of
from lifelong.events import TaskScored

LOOKS = {0: [0.1, 0.0], 2: [0.5, 0.1], 4: [0.9, 0.2], 6: [0.6, 0.7], 8: [0.4, 0.8], 10: [0.7, 0.6], 12: [1.0, 0.5]}


def test_a_course_is_what_was_judged_and_taught() -> None:
    found = course_of(acted("ABA", LOOKS))
    assert found.tasks == ("A", "B")
    assert found.steps.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert found.scores.tolist() == list(LOOKS.values())
    assert [(v.task, v.start, v.stop) for v in found.visits] == [("A", 0, 4), ("B", 4, 8), ("A", 8, 12)]
    assert found.env_steps_per_experience == 256
    assert found.taught() == ["A", "B"]


def test_stretches_of_one_task_that_follow_each_other_are_one_visit() -> None:
    found = course_of(acted("AAB", LOOKS))
    assert [(v.task, v.start, v.stop) for v in found.visits] == [("A", 0, 8), ("B", 8, 12)]


@pytest.mark.parametrize(("until", "whole"), [(3, 0), (4, 1), (7, 1), (8, 2), (11, 2), (12, 3)])
def test_a_run_that_was_stopped_ends_with_its_last_whole_segment(until: int, whole: int) -> None:
    found = course_of(acted("ABA", LOOKS, until=until))
    assert len(found.visits) == whole
    assert found.steps.tolist() == [step for step in LOOKS if step <= 4 * whole]


def test_a_run_that_was_stopped_while_it_was_judged_ends_a_segment_earlier() -> None:
    whole = acted("ABA", LOOKS)
    events = [(s, e) for s, e in whole.events if not (s == 12 and isinstance(e, TaskScored) and e.task == "B")]
    found = course_of(trace_of(events))
    assert len(found.visits) == 2
    assert found.steps.tolist() == [0, 2, 4, 6, 8]


def test_a_score_that_is_not_a_number_is_the_worst() -> None:
    assert course_of(acted("AB", {0: [NAN, 0.0], 4: [1, 1], 8: [1, 1]})).scores[0, 0] == 0.0
    raw = course_of(acted("AB", {0: [NAN, 0.0], 4: [1, 1], 8: [1, 1]}, metric="return"))
    assert raw.scores[0, 0] == -np.inf


def test_a_lesson_is_the_visits_one_behind_the_other() -> None:
    steps, scores = course_of(acted("ABA", LOOKS)).lesson("A")
    assert steps.tolist() == [0, 2, 4, 4, 6, 8]
    assert scores.tolist() == [0.1, 0.5, 0.9, 0.4, 0.7, 1.0]


def test_the_area_is_the_integral_of_the_broken_line() -> None:
    x, y = np.array([0.0, 2.0, 6.0]), np.array([0.0, 1.0, 0.5])
    assert area(x, y, 0, 6) == pytest.approx((2 * 0.5 + 4 * 0.75) / 6)
    # From 1 (height 0.5) to 4 (height 0.75).
    assert area(x, y, 1, 4) == pytest.approx((1 * 0.75 + 2 * 0.875) / 3)
    # A jump has no width.
    assert area(np.array([0.0, 2.0, 2.0, 4.0]), np.array([1.0, 1.0, 0.0, 0.0]), 0, 4) == pytest.approx(0.5)


@pytest.mark.parametrize(("start", "stop"), [(-1, 4), (0, 7), (3, 3), (4, 2)])
def test_no_area_where_the_curve_does_not_reach(start: float, stop: float) -> None:
    assert area(np.array([0.0, 2.0, 6.0]), np.array([0.0, 1.0, 0.5]), start, stop) is None
    assert area(np.empty(0), np.empty(0), start, stop) is None


def test_a_mean_is_over_the_terms_that_there_are() -> None:
    assert mean_of({"A": 0.5, "B": None, "C": 0.1}) == pytest.approx(0.3)
    assert mean_of({"A": None}) is None
    assert mean_of({}) is None


def test_shapes_and_names_that_do_not_fit_are_told() -> None:
    good = course("AB", {0: [0, 0], 4: [1, 0], 8: [1, 1]})
    with pytest.raises(ValueError, match="make scores of shape"):
        type(good)(good.tasks, good.steps, good.scores[:2], good.visits)
    with pytest.raises(ValueError, match="order of their steps"):
        type(good)(good.tasks, good.steps[::-1].copy(), good.scores, good.visits)
    with pytest.raises(ValueError, match="no column"):
        type(good)(good.tasks, good.steps, good.scores, (Stretch("C", 0, 4),))
