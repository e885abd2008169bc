"""Scores over time: how a run fared in each task whenever it was judged, and when each task was really taught.

L judgings, T tasks. What the families of transfer metrics measure that look at how fast something was learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.trace import Stretch, Trace
from lifelong.events import TaskScored

Floats = NDArray[np.float64]
Terms = Mapping[Any, float | None]
"""What a measure is the mean of, by what each term is of; None: not defined there."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The scores (L, T) on every task at the judgings, which were made when `steps` (L,) experiences were learned.

    Scores are higher-is-better, NaN where not judged. `visits` are the stretches in which a task was taught to the
    end, in order; stretches of one task that follow each other are one visit, and a task that comes back has several.
    env_steps_per_experience: how many steps in a world an experience is. Raises ValueError where shapes or names do not
    fit.
    """

    tasks: tuple[str, ...]
    steps: NDArray[np.int64]
    scores: Floats
    visits: tuple[Stretch, ...]
    env_steps_per_experience: int | None = None

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.steps), len(self.tasks)):
            raise ValueError(
                f"{len(self.steps)} judgings of {len(self.tasks)} tasks make scores of shape "
                f"{(len(self.steps), len(self.tasks))}, got {self.scores.shape}."
            )
        if len(self.steps) > 1 and not np.all(np.diff(self.steps) > 0):
            raise ValueError(f"Judgings must be in the order of their steps, one to a step, got {self.steps.tolist()}.")
        unknown = sorted({visit.task for visit in self.visits} - set(self.tasks))
        if unknown:
            raise ValueError(f"Visits name tasks that have no column: {unknown}; the tasks are {self.tasks}.")

    def taught(self) -> list[str]:
        """The tasks that were taught, in order of their first visit."""
        return list(dict.fromkeys(visit.task for visit in self.visits))

    def of(self, task: str) -> list[Stretch]:
        """The visits of one task."""
        return [visit for visit in self.visits if visit.task == task]

    def curve(self, task: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Steps and scores of one task where it was judged, from `start` to `stop`, both included."""
        column = self.scores[:, self.tasks.index(task)]
        rows = (self.steps >= start) & (self.steps <= stop) & np.isfinite(column)
        return self.steps[rows].astype(np.float64), column[rows]

    def lesson(self, task: str) -> tuple[Floats, Floats]:
        """A task's scores over the experiences spent on it: its visits one behind the other, without what lay between.

        Where one visit ends and the next begins there are two points above each other.
        """
        parts, spent = [], 0
        for visit in self.of(task):
            steps, scores = self.curve(task, visit.start, visit.stop)
            parts.append((steps - visit.start + spent, scores))
            spent += visit.stop - visit.start
        empty = np.empty(0)
        return np.concatenate([empty, *(x for x, _ in parts)]), np.concatenate([empty, *(y for _, y in parts)])


def course_of(trace: Trace) -> Course:
    """The course of a run, also of an interrupted one: it ends with the last segment that was taught to its end.

    And judged there, in all tasks seen so far. A judged score that is not a number counts as the metric's worst.
    """
    started = trace.started
    ends = [*started.segment_starts[1:], started.steps if started.segments else trace.end]
    tasks = tuple(task.name for task in started.tasks)
    worst = {task.name: task.low if task.higher_is_better else -task.high for task in started.tasks}
    looks: dict[int, dict[str, float]] = {}
    for step, event in trace.all(TaskScored):
        looks.setdefault(step, {})[event.task] = worst[event.task] if math.isnan(event.score) else event.score
    whole: list[Stretch] = []
    for part, end in zip(trace.truth(), ends, strict=False):
        seen = {part.task, *(before.task for before in whole)}
        if part.stop != end or not seen <= looks.get(end, {}).keys():
            break
        whole.append(part)
    last = whole[-1].stop if whole else 0
    looks = {step: look for step, look in looks.items() if step <= last}
    rows = [[look.get(task, math.nan) for task in tasks] for look in looks.values()]
    return Course(
        tasks,
        np.array(list(looks), dtype=np.int64),
        np.array(rows, dtype=np.float64).reshape(len(looks), len(tasks)),
        _visits(whole),
        started.env_steps_per_experience,
    )


def area(steps: Floats, scores: Floats, start: float, stop: float) -> float | None:
    """Mean height of a curve between two steps: its integral by the trapezoid rule, over their distance.

    None where the curve does not reach from one to the other, for what lies beyond it is not known.
    """
    if stop <= start or not len(steps) or steps[0] > start or steps[-1] < stop:
        return None
    inside = (steps >= start) & (steps <= stop)
    x, y = steps[inside], scores[inside]
    if x[0] > start:
        x, y = np.append(start, x), np.append(np.interp(start, steps, scores), y)
    if x[-1] < stop:
        x, y = np.append(x, stop), np.append(y, np.interp(stop, steps, scores))
    return float(np.dot(np.diff(x), (y[1:] + y[:-1]) / 2) / (stop - start))


def lesson_of(reference: Course, task: str, length: int | None = None, env_steps: int | None = None) -> Stretch:
    """The one stretch of a single-task run.

    Raises ValueError where it was taught anything else, or not for `length` experiences (None: any number) of so many
    environment steps.
    """
    if [visit.task for visit in reference.visits] != [task]:
        given = ", ".join(visit.task for visit in reference.visits) or "nothing"
        raise ValueError(f"The reference for {task!r} must be a run that was taught it alone, got one of: {given}.")
    (visit,) = reference.visits
    got = visit.stop - visit.start
    if length is not None and (got, reference.env_steps_per_experience) != (length, env_steps):
        raise ValueError(
            f"The reference for {task!r} must be as long as its first visit, {_budget(length, env_steps)}, "
            f"got {_budget(got, reference.env_steps_per_experience)}."
        )
    return visit


def mean_of(terms: Terms) -> float | None:
    """Mean of the terms that are defined; None where none is."""
    known = [float(term) for term in terms.values() if term is not None]
    return sum(known) / len(known) if known else None


def finite(term: float) -> float | None:
    """The term, if it is a number."""
    return float(term) if math.isfinite(term) else None


def _visits(parts: Sequence[Stretch]) -> tuple[Stretch, ...]:
    visits: list[Stretch] = []
    for part in parts:
        if visits and visits[-1].task == part.task:
            visits[-1] = Stretch(part.task, visits[-1].start, part.stop)
        else:
            visits.append(part)
    return tuple(visits)


def _budget(experiences: int, env_steps: int | None) -> str:
    return f"{experiences} experiences" + ("" if env_steps is None else f" of {env_steps} environment steps")
