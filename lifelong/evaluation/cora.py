"""Transfer as CORA measures it: isolated forgetting and zero-shot forward transfer, one lesson at a time.

Powers et al. 2022, "CORA: Benchmarks, Baselines, and Metrics as a Platform for Continual Reinforcement Learning
Agents". r[row, i] is the return in task i after a segment, a cell of the score matrix; differences are divided by the
largest |r[row, i]| of the task over all rows, so that tasks of unlike returns can be averaged. The tables of the paper
show ten times these numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lifelong.evaluation.course import finite
from lifelong.evaluation.matrix import ScoreMatrix

Pair = tuple[str, str, int]
"""(task learned, task judged, row of the matrix after it)."""


def cora_forgetting(matrix: ScoreMatrix) -> dict[Pair, float | None]:
    """What each later lesson took from a task taught before it: (r[row - 1, i] - r[row, i]) / max |r_i|.

    Positive where something was forgotten. A lesson in the task itself, where it comes back, is none of these.
    None where a cell is missing, or no return of the task differs from zero.
    """
    return _changes(matrix, lambda row, first_row: row > first_row, sign=-1.0)


def cora_zero_shot_transfer(matrix: ScoreMatrix) -> dict[Pair, float | None]:
    """What each lesson before a task's first one gave to it: (r[row, i] - r[row - 1, i]) / max |r_i|.

    Positive where a task is known in part before it is taught. Tasks that are judged and never taught count too.
    """
    return _changes(matrix, lambda row, first_row: row < first_row, sign=1.0)


def _changes(matrix: ScoreMatrix, counts: Callable[[int, int], bool], sign: float) -> dict[Pair, float | None]:
    first_rows = {task: first for task, (first, _) in matrix.visits().items()}
    never = len(matrix.segments) + 1
    changes: dict[Pair, float | None] = {}
    for judged in matrix.tasks:
        column = matrix.column(judged)
        largest = np.max(np.abs(column[np.isfinite(column)]), initial=0.0)
        for row, learned in enumerate(matrix.segments, start=1):
            if judged != learned and counts(row, first_rows.get(judged, never)):
                change = sign * (column[row] - column[row - 1])
                changes[learned, judged, row] = finite(float(change / largest)) if largest > 0.0 else None
    return changes
