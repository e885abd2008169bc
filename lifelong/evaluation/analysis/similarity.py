"""How alike tasks are, and whether forgetting goes with it.

Ramasesh et al., Anatomy of catastrophic forgetting (ICLR 2021), and Lee et al., Continual learning in the
teacher-student setup (ICML 2021): tasks that are neither alike nor unlike disturb each other most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.analysis.rank_correlation import spearman
from lifelong.evaluation.analysis.representations import array_of, principal_basis, subspace_overlap
from lifelong.evaluation.matrix import ScoreMatrix

Floats = NDArray[np.float64]
ENERGY = 0.95


class Judged(Protocol):
    """What a task must have: a name, and test samples as arrays or tensors."""

    @property
    def name(self) -> str: ...
    @property
    def test_inputs(self) -> Any: ...
    @property
    def test_targets(self) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """Similarities (T, T) of tasks, symmetric, 1 on the diagonal; NaN where two tasks cannot be compared."""

    tasks: tuple[str, ...]
    values: Floats

    def of(self, one: str, other: str) -> float:
        return float(self.values[self.tasks.index(one), self.tasks.index(other)])


@dataclass(frozen=True, slots=True)
class Dropped:
    """What an earlier task lost while a later one was taught (positive: it lost), and how alike the two are."""

    earlier: str
    later: str
    segment: int
    drop: float
    similarity: float


def similarity_of_tasks(tasks: Sequence[Judged], measure: Literal["subspace", "means"] = "subspace") -> Alike:
    """How alike the tasks of a stream (`stream.tasks`) are, by their test samples.

    subspace: overlap of the directions that hold 95 % of the squared inputs (`subspace_overlap` of two
    `principal_basis`), in which updates of one task disturb the other (Saha et al., GPM, 2021). means: mean over the
    classes that both tasks have of Pearson's correlation between the classes' mean inputs: 1 where the same answer
    looks the same, below where it does not. CKA is not offered: tasks have no samples in common, and where they are
    turned versions of the same ones it is 1. Tasks of different input sizes, or without a class in common, give NaN.
    """
    inputs = [array_of(task.test_inputs).reshape(len(task.test_inputs), -1) for task in tasks]
    values = np.eye(len(tasks))
    if measure == "subspace":
        bases = [principal_basis(x, ENERGY) for x in inputs]
        described: list[Any] = bases
    else:
        described = [_class_means(x, array_of(task.test_targets)) for x, task in zip(inputs, tasks, strict=True)]
    compare = subspace_overlap if measure == "subspace" else _agreement
    for i in range(len(tasks)):
        for j in range(i):
            fits = inputs[i].shape[1] == inputs[j].shape[1]
            values[i, j] = values[j, i] = compare(described[i], described[j]) if fits else np.nan
    return Alike(tuple(task.name for task in tasks), values)


def drops_of(matrix: ScoreMatrix, alike: Alike) -> list[Dropped]:
    """For every segment and every other task taught before it: the task's score before the segment minus after it."""
    found = []
    for row in range(2, len(matrix.segments) + 1):
        later = matrix.segments[row - 1]
        for earlier in dict.fromkeys(matrix.segments[: row - 1]):
            if earlier == later or not {earlier, later} <= set(alike.tasks):
                continue
            scores, similarity = matrix.column(earlier), alike.of(earlier, later)
            drop = float(scores[row - 1] - scores[row])
            if np.isfinite(drop) and np.isfinite(similarity):
                found.append(Dropped(earlier, later, row, drop, similarity))
    return found


def correlation(drops: Sequence[Dropped]) -> float | None:
    """Spearman's rank correlation of drop and similarity; above zero, alike tasks are forgotten more."""
    return spearman([one.similarity for one in drops], [one.drop for one in drops])


def _class_means(inputs: Floats, targets: Floats) -> dict[float, Floats]:
    if targets.ndim != 1 or not np.array_equal(targets, np.round(targets)):
        return {}
    return {float(label): inputs[targets == label].mean(axis=0) for label in np.unique(targets)}


def _agreement(one: dict[float, Floats], other: dict[float, Floats]) -> float:
    both = [(one[label], other[label]) for label in one if label in other]
    known = [float(np.corrcoef(a, b)[0, 1]) for a, b in both if np.ptp(a) > 0 and np.ptp(b) > 0]
    return sum(known) / len(known) if known else float("nan")
