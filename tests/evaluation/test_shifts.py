"""Detections against true shifts, by hand."""

from __future__ import annotations

from lifelong.evaluation.shifts import ShiftReport, match_shifts, true_shifts


def test_the_first_detection_in_each_stretch_is_the_hit_and_all_others_are_false() -> None:
    report = match_shifts([100, 200, 300], [40, 101, 150, 300, 310], 400)
    assert report == ShiftReport(
        true=3,
        detected=5,
        hits=3,
        false_alarms=2,
        missed=0,
        delays=(1, 100, 10),
        hit_steps=(101, 300, 310),
        false_steps=(40, 150),
    )


def test_a_detection_on_the_step_of_the_shift_itself_belongs_to_the_old_task() -> None:
    assert match_shifts([100], [100], 200) == ShiftReport(1, 1, 0, 1, 1, (), (), (100,))


def test_nothing_found_is_all_missed_and_nothing_true_is_all_false() -> None:
    assert match_shifts([10, 20], [], 30) == ShiftReport(2, 0, 0, 0, 2, (), (), ())
    assert match_shifts([], [5, 9], 30) == ShiftReport(0, 2, 0, 2, 0, (), (), (5, 9))


def test_shifts_that_an_interrupted_run_never_reached_are_not_missed() -> None:
    assert match_shifts([10, 20, 30], [12], 20) == ShiftReport(1, 1, 1, 0, 0, (2,), (12,), ())


def test_order_does_not_matter() -> None:
    assert match_shifts([200, 100], [205, 103], 300) == match_shifts([100, 200], [103, 205], 300)


def test_a_segment_that_goes_on_with_the_same_task_is_no_shift() -> None:
    assert true_shifts(["A", "A", "B", "A"], [0, 10, 20, 30]) == [20, 30]
    assert true_shifts(["A"], [0]) == []
    assert true_shifts([], []) == []
