"""Hand-made courses and records for the tests of transfer measures."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np

from lifelong.evaluation.course import Course
from lifelong.evaluation.matrix import ScoreMatrix
from lifelong.evaluation.trace import Stretch, Trace, trace_of
from lifelong.events import Event, RunStarted, TaskEntered, TaskFacts, TaskScored

NAN = float("nan")


def matrix(segments: str, rows: list[list[float]], tasks: str = "") -> ScoreMatrix:
    """Rows after each segment, one letter a task; row 0 is the untrained learner's."""
    return ScoreMatrix(tuple(tasks or dict.fromkeys(segments)), tuple(segments), np.array(rows, dtype=float))


def course(
    visits: str, looks: dict[int, list[float]], length: int = 4, env_steps_per_experience: int | None = 256
) -> Course:
    """A course with visits of `length` experiences each; `looks` holds the scores by step."""
    ends = list(accumulate([length] * len(visits), initial=0))
    stretches = tuple(Stretch(task, a, b) for task, (a, b) in zip(visits, pairwise(ends), strict=True))
    tasks = tuple(dict.fromkeys(visits))
    scores = np.array(list(looks.values()), dtype=float).reshape(len(looks), len(tasks))
    return Course(tasks, np.array(list(looks), dtype=np.int64), scores, stretches, env_steps_per_experience)


def acted(
    segments: str,
    looks: dict[int, list[float]],
    length: int = 4,
    metric: str = "success",
    until: int | None = None,
) -> Trace:
    """The record of a run in worlds to act in, up to step `until`; `looks` holds the scores of all tasks by step."""
    tasks = tuple(dict.fromkeys(segments))
    low, high = (0.0, 1.0) if metric == "success" else (-np.inf, 1.0 if metric == "normalised_return" else np.inf)
    facts = tuple(TaskFacts(task, metric, True, low, high, 10) for task in tasks)
    starts = tuple(length * k for k in range(len(segments)))
    total = length * len(segments)
    started = RunStarted("worlds", "agent", 0, "cpu", facts, tuple(segments), starts, total, None, False, 256)
    records: list[tuple[int, Event]] = [(0, started)]
    for step, scores in looks.items():
        k, inside = divmod(step, length)
        records += [
            (step, TaskScored(t, s, s, 10, k, not inside, t in segments[:k]))
            for t, s in zip(tasks, scores, strict=True)
        ]
        if not inside and k < len(segments):
            records.append((step, TaskEntered(segments[k], k)))
    return trace_of(record for record in records if until is None or record[0] <= until)
