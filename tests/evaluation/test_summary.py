"""A hand-made record, summed up by hand."""

from __future__ import annotations

import pytest

from lifelong.evaluation.routing import foreign_share, owners, routing_accuracy
from lifelong.evaluation.summary import summarize
from lifelong.evaluation.trace import trace_of
from lifelong.events import (
    Event,
    ExpertChosen,
    ExpertDissolved,
    ExpertSpawned,
    Learned,
    RunFinished,
    RunStarted,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    TaskEntered,
    TaskFacts,
    TaskScored,
)

Records = list[tuple[int, Event]]


def learned(expert: int, scores: list[float], batch: int) -> Learned:
    zeros = (0.0,) * len(scores)
    return Learned(expert, batch * len(scores), zeros, tuple(scores), zeros)


def scored(task: str, score: float, segment: int, *routed: tuple[int, int]) -> TaskScored:
    return TaskScored(task, score, score, 100, segment, True, True, routed)


def record(higher_is_better: bool = True) -> Records:
    """A for 4 steps, B for 4; B is noticed after 2 steps, so expert 0 learned 2 experiences of it."""
    tasks = tuple(TaskFacts(name, "accuracy", higher_is_better, 0.0, 1.0, 100) for name in "AB")
    return [
        (0, RunStarted("s", "flagship", 3, "cpu", tasks, ("A", "B"), (0, 4), 8, threshold=5.0)),
        (0, ExpertSpawned(0, 10)),
        (0, scored("A", 0.1, 0, (0, 100))),
        (0, scored("B", 0.2, 0, (0, 100))),
        (0, TaskEntered("A", 0)),
        (2, learned(0, [0.0, 0.5], 10)),
        (2, ShiftDetected(0, 1, 6.0, 5.0)),
        (4, learned(0, [0.5, 1.0], 10)),
        (4, scored("A", 0.9, 1, (0, 100))),
        (4, scored("B", 0.3, 1, (0, 100))),
        (4, TaskEntered("B", 1)),
        (5, learned(0, [0.0], 10)),
        (6, learned(0, [0.1], 10)),
        (6, ShiftDetected(0, 2, 7.0, 5.0)),
        (6, ExpertSpawned(1, 10, 0)),
        (7, learned(1, [0.4], 10)),
        (7, ShiftDismissed(1, 1, 6.0, 5.0)),
        (8, learned(1, [1.0], 30)),
        (8, scored("A", 0.8, 2, (0, 90), (1, 10))),
        (8, scored("B", 0.7, 2, (0, 40), (1, 60))),
        (8, RunFinished(2, 20)),
    ]


def test_every_number_of_a_small_run_by_hand() -> None:
    summary = summarize(record(), 12.5, {"lifelong": "1"})
    assert summary.acc == pytest.approx(0.75)
    assert summary.bwt == pytest.approx(-0.1)
    assert summary.fwt == pytest.approx(0.1)
    assert summary.forgetting == pytest.approx(0.1)
    assert summary.learning_accuracy == pytest.approx(0.8)
    samples = 10 * (0.0 + 0.5 + 0.5 + 1.0 + 0.0 + 0.1 + 0.4) + 30 * 1.0
    assert summary.prequential_accuracy == pytest.approx(samples / 100)
    assert (summary.experts, summary.parameters) == (2, 20)
    assert (summary.shifts_true, summary.shifts_detected, summary.shifts_dismissed) == (1, 2, 1)
    assert (summary.false_alarms, summary.missed_shifts, summary.detection_delay) == (1, 0, 2.0)
    assert summary.routing_accuracy == pytest.approx((90 + 40) / 200)
    assert (summary.steps, summary.seed, summary.wall_seconds) == (8, 3, 12.5)
    assert (summary.agent, summary.stream, summary.device) == ("flagship", "s", "cpu")
    assert (summary.percent, summary.finished, summary.labels_shown) == (True, True, False)
    assert summary.versions == {"lifelong": "1"}


def test_worlds_that_had_no_room_are_counted() -> None:
    crowded = [*record()[:-1], (8, ExpertChosen(1, 0.9, full=True)), (8, ExpertChosen(0, 0.1)), record()[-1]]
    assert (summarize(record(), 1.0, {}).crowded, summarize(crowded, 1.0, {}).crowded) == (0, 1)


def test_the_owner_learned_most_of_a_task_and_the_older_expert_wins_a_tie() -> None:
    assert owners(trace_of(record())) == {"A": 0, "B": 0}
    longer = [*record()[:-3], (9, learned(1, [1.0], 10)), *record()[-3:]]
    assert owners(trace_of(longer)) == {"A": 0, "B": 1}
    assert routing_accuracy(trace_of(longer)) == pytest.approx((90 + 60) / 200)


def test_a_single_expert_has_no_routing_to_be_right_or_wrong() -> None:
    alone = [(s, e) for s, e in record() if not (isinstance(e, (ExpertSpawned, Learned)) and e.expert == 1)]
    assert routing_accuracy(trace_of(alone)) is None


def test_a_run_cut_anywhere_can_be_summed_up() -> None:
    whole = record()
    for length in range(1, len(whole)):
        summary = summarize(whole[:length], 1.0, {})
        assert not summary.finished
        assert summary.parameters is None
        assert summary.shifts_true == int(length > 11)
    cut = summarize(whole[:10], 1.0, {})
    assert (cut.acc, cut.bwt, cut.experts, cut.steps) == (0.9, None, 1, 4)
    assert summarize(whole[:1], 1.0, {}).prequential_accuracy is None


def test_scores_of_a_metric_that_is_better_when_lower_are_turned() -> None:
    assert summarize(record(higher_is_better=False), 1.0, {}).prequential_accuracy == pytest.approx(-0.55)
    assert not summarize(record(higher_is_better=False), 1.0, {}).percent


def test_updates_are_placed_by_the_step_of_their_block_even_across_segments() -> None:
    trace = trace_of([*record()[:5], (6, learned(0, [0.0] * 6, 1)), (4, TaskEntered("B", 1))])
    assert trace.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert [(s.task, s.start, s.stop) for s in trace.truth()] == [("A", 0, 4), ("B", 4, 6)]
    assert owners(trace) == {"A": 0, "B": 0}


def test_a_change_that_is_plain_to_see_is_not_a_shift_found() -> None:
    told = [(step, event) for step, event in record() if not isinstance(event, ShiftDetected)]
    told.insert(11, (5, ShiftSeen(0)))
    summary = summarize(sorted(told, key=lambda noted: noted[0]), 1.0, {})
    assert (summary.shifts_told, summary.shifts_true, summary.shifts_detected) == (1, 0, 0)
    assert (summary.false_alarms, summary.missed_shifts, summary.detection_delay) == (0, 0, None)


def test_what_is_foreign_is_counted_apart_for_tasks_met_and_not_met() -> None:
    def judged(task: str, segment: int, seen: bool, foreign: int | None) -> tuple[int, Event]:
        return segment * 10, TaskScored(task, 0.5, 0.5, 100, segment, True, seen, (), foreign)

    records = [
        *record()[:1],
        judged("A", 0, False, 100),
        judged("B", 0, False, 100),
        judged("A", 1, True, 20),
        judged("B", 1, False, 70),
        judged("A", 2, True, 4),
        judged("B", 2, True, 2),
    ]
    trace = trace_of(records)
    # The untrained learner's row says nothing; of tasks met, the last row counts.
    assert foreign_share(trace, seen=True) == pytest.approx(0.03)
    assert foreign_share(trace, seen=False) == pytest.approx(0.7)
    silent = trace_of([*record()[:1], judged("A", 1, True, None)])
    assert foreign_share(silent, seen=True) is None


def test_what_a_dissolved_expert_learned_counts_for_an_heir_that_was_taught_the_task_too() -> None:
    records = [*record()[:-3], (8, ExpertDissolved(0, 1)), *record()[-3:]]
    assert owners(trace_of(record())) == {"A": 0, "B": 0}
    # Expert 1 has learned of B alone: who was taught A is gone, and no answer about it is right by design.
    assert owners(trace_of(records)) == {"A": 0, "B": 1}
