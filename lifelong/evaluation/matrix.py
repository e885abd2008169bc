"""The score matrix of a run, and what the field reads off it: ACC, BWT, FWT, forgetting, learning accuracy.

R (S+1, T): row 0 is the untrained learner, row k the learner after segment k, column i the task i; tasks
may recur, so there may be more segments than tasks. All scores are higher-is-better; NaN means "not
judged". Each measure is a mean over exactly the terms that it sums, a term with a NaN in it is left out,
and None says that no term is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.numbers import decimals, fixed
from lifelong.evaluation.trace import Trace
from lifelong.events import TaskScored


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMatrix:
    """Scores (S+1, T) after each segment on each task, keyed by task.

    `tasks` (T) are in order of first appearance, `segments` (S) name the true task of each segment in order.
    Raises ValueError where the shape and the names do not fit together.
    """

    tasks: tuple[str, ...]
    segments: tuple[str, ...]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        wanted = (len(self.segments) + 1, len(self.tasks))
        if self.scores.shape != wanted:
            raise ValueError(
                f"{len(self.segments)} segments and {len(self.tasks)} tasks make a matrix of shape {wanted} "
                f"(row 0 is the untrained learner), got {self.scores.shape}."
            )
        if len(set(self.tasks)) != len(self.tasks):
            raise ValueError(f"Every task has one column, but a name is there twice: {self.tasks}.")
        unknown = sorted(set(self.segments) - set(self.tasks))
        if unknown:
            raise ValueError(f"Segments name tasks that have no column: {unknown}; the tasks are {self.tasks}.")

    def __str__(self) -> str:
        """A row after each segment and a column for each task, to be read: aligned, without powers of ten."""
        after = ["untrained", *(f"{row}  {task}" for row, task in enumerate(self.segments, start=1))]
        columns = [["", *after]]
        for task, scores in zip(self.tasks, self.scores.T.tolist(), strict=True):
            places = decimals(scores, 3)
            columns.append([task, *(fixed(score, places) for score in scores)])
        widths = [max(map(len, column)) for column in columns]
        rows = zip(*columns, strict=True)
        return "\n".join(
            "  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]).rstrip() for name, *cells in rows
        )

    def visits(self) -> dict[str, tuple[int, int]]:
        """The rows after the first and the last segment of every task seen, in order of appearance."""
        rows: dict[str, tuple[int, int]] = {}
        for row, task in enumerate(self.segments, start=1):
            rows[task] = (rows[task][0] if task in rows else row, row)
        return rows

    def column(self, task: str) -> NDArray[np.float64]:
        """The (S+1,) scores on one task."""
        return self.scores[:, self.tasks.index(task)]


def matrix_of(trace: Trace) -> ScoreMatrix:
    """The score matrix of a run, also of an interrupted one: it ends with the last row that is whole.

    A row is whole when every task seen so far was judged. A judged score that is not a number counts as the
    metric's worst.
    """
    segments = trace.segments()
    tasks = tuple(task.name for task in trace.started.tasks)
    worst = {task.name: task.low if task.higher_is_better else -task.high for task in trace.started.tasks}
    judged = {
        (e.segment, e.task): worst[e.task] if math.isnan(e.score) else e.score
        for _, e in trace.all(TaskScored)
        if e.at_end
    }
    last = len(segments)
    while last > 0 and any((last, task) not in judged for task in segments[:last]):
        last -= 1
    rows = [[judged.get((row, task), float("nan")) for task in tasks] for row in range(last + 1)]
    return ScoreMatrix(tasks, segments[:last], np.array(rows, dtype=np.float64))


def acc(matrix: ScoreMatrix) -> float | None:
    """Final average score: mean of R[S, i] over the tasks i seen (Lopez-Paz & Ranzato 2017, eq. 2)."""
    return _mean([matrix.column(task)[-1] for task in matrix.visits()])


def learning_accuracy(matrix: ScoreMatrix) -> float | None:
    """How well tasks are learned when taught: mean over segments k of R[k, task of k] (Riemer et al. 2019).

    Without recurring tasks this is the mean of the diagonal. Read it beside forgetting: who learns nothing
    forgets nothing.
    """
    return _mean([matrix.column(task)[row] for row, task in enumerate(matrix.segments, start=1)])


def untrained(matrix: ScoreMatrix) -> float | None:
    """What the untrained learner scores on the tasks that are taught: mean over segments k of R[0, task of k]."""
    return _mean([matrix.column(task)[0] for task in matrix.segments])


def bwt(matrix: ScoreMatrix) -> float | None:
    """Backward transfer: mean over tasks i not taught last of R[S, i] - R[last visit of i, i].

    Negative where something was lost. Anchored at a task's last visit, because what comes back by training
    on the task again is not transfer. Equals Lopez-Paz & Ranzato 2017, eq. 3, where no task recurs.
    """
    return _mean([matrix.column(task)[-1] - matrix.column(task)[last] for task, (_, last) in _old(matrix)])


def forgetting(matrix: ScoreMatrix) -> float | None:
    """Mean over the tasks i not taught last of max over first visit <= k < S of R[k, i], minus R[S, i].

    Chaudhry et al. 2018, sec. 3.2. Negative where the learner ends better at old tasks than it ever was.
    """
    drops = []
    for task, (first, _) in _old(matrix):
        before = matrix.column(task)[first:-1]
        before = before[~np.isnan(before)]
        if len(before):
            drops.append(before.max() - matrix.column(task)[-1])
    return _mean(drops)


def fwt(matrix: ScoreMatrix) -> float | None:
    """Forward transfer: mean over tasks i but the first of R[just before its first visit, i] - R[0, i].

    Lopez-Paz & Ranzato 2017, eq. 4, with b_i measured on the untrained learner.
    """
    visits = list(matrix.visits().items())[1:]
    return _mean([matrix.column(task)[first - 1] - matrix.column(task)[0] for task, (first, _) in visits])


def _old(matrix: ScoreMatrix) -> list[tuple[str, tuple[int, int]]]:
    """The tasks seen that were not taught in the last segment, each with its (first, last) visit."""
    return [(task, rows) for task, rows in matrix.visits().items() if rows[1] != len(matrix.segments)]


def _mean(terms: list[float]) -> float | None:
    known = [float(term) for term in terms if not np.isnan(term)]
    return sum(known) / len(known) if known else None
