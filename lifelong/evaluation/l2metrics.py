"""Transfer as l2metrics measures it: performance maintenance, contrasts, and comparison with a single-task expert.

Johns Hopkins APL, l2metrics (https://github.com/lifelong-learning-systems/l2metrics); New et al. 2022, "Lifelong
Learning Metrics". Its evaluation blocks are the rows of the score matrix, its learning blocks the segments.
A positive difference is good here, where Continual World and CORA have positive for forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lifelong.evaluation.course import Course, Floats, area, finite, lesson_of, mean_of
from lifelong.evaluation.matrix import ScoreMatrix

Pair = tuple[str, str, int]
"""(task learned, task judged, row of the matrix after it)."""


def l2_performance_maintenance(matrix: ScoreMatrix) -> dict[str, float | None]:
    """For each task taught the mean change since it was taught: R[row, i] - R[latest row that taught i before, i].

    Over all later rows in which something else was taught; a task that comes back is measured from its latest visit.
    None for a task after which nothing else was taught. PM is the mean over tasks: below zero, something was lost.
    """
    changes: dict[str, list[float]] = {task: [] for task in matrix.visits()}
    anchor: dict[str, float] = {}
    for row, taught in enumerate(matrix.segments, start=1):
        for task, reference in anchor.items():
            if task != taught:
                changes[task].append(float(matrix.column(task)[row]) - reference)
        anchor[taught] = float(matrix.column(taught)[row])
    return {task: mean_of(dict(enumerate(map(finite, terms)))) for task, terms in changes.items()}


def l2_forward_transfer(matrix: ScoreMatrix) -> dict[Pair, float | None]:
    """What learning a task did to each task that had not been taught yet: (after - before) / (after + before).

    Before and after are the judged task's scores in the rows around the segment. From -1 to 1; None where a score is
    below zero or both are zero, for which a contrast says nothing. FT is the mean over the pairs that have one.
    """
    return _contrasts(matrix, lambda row, first_row: row < first_row)


def l2_backward_transfer(matrix: ScoreMatrix) -> dict[Pair, float | None]:
    """What learning a task did to each other task that had been taught before, in the terms of forward transfer."""
    return _contrasts(matrix, lambda row, first_row: row > first_row)


def l2_relative_performance(course: Course, references: Mapping[str, Course]) -> dict[str, float | None]:
    """Area under a task's curve while it was taught over that of its single-task expert, for equally many experiences.

    A task that comes back is taken up where its last visit ended, as one long lesson; the longer of the two lessons is
    cut. 1: learned as well as alone. None where there is no reference, or the expert's area is not positive. Raises
    ValueError for a reference of another task.
    """
    return {task: _relative(course, task, references.get(task)) for task in course.taught()}


def l2_sample_efficiency(course: Course, references: Mapping[str, Course]) -> dict[str, float | None]:
    """Height of a task's best score over the expert's, times how much sooner it was reached.

    (best / best of the expert) * (experiences the expert needed / experiences needed), over whole lessons as in
    relative performance. Judgings are means over episodes, so the best is not smoothed. None where there is no
    reference, a best is not positive, or was there before the first lesson. Raises ValueError for a reference of
    another task.
    """
    return {task: _efficiency(course, task, references.get(task)) for task in course.taught()}


def _contrasts(matrix: ScoreMatrix, counts: Callable[[int, int], bool]) -> dict[Pair, float | None]:
    """Contrasts of the judged tasks of which `counts(row, row of the first lesson)` says so."""
    first_rows = {task: first for task, (first, _) in matrix.visits().items()}
    never = len(matrix.segments) + 1
    return {
        (learned, judged, row): _contrast(*matrix.column(judged)[row - 1 : row + 1].tolist())
        for row, learned in enumerate(matrix.segments, start=1)
        for judged in matrix.tasks
        if judged != learned and counts(row, first_rows.get(judged, never))
    }


def _contrast(before: float, after: float) -> float | None:
    if not (before >= 0.0 and after >= 0.0 and before + after > 0.0):
        return None
    return finite((after - before) / (after + before))


def _relative(course: Course, task: str, reference: Course | None) -> float | None:
    if reference is None:
        return None
    own, alone = _lessons(course, task, reference)
    if not len(own[0]) or not len(alone[0]):
        return None
    stop = float(min(own[0][-1], alone[0][-1]))
    mine, experts = area(*own, 0.0, stop), area(*alone, 0.0, stop)
    return None if mine is None or experts is None or experts <= 0.0 else finite(mine / experts)


def _efficiency(course: Course, task: str, reference: Course | None) -> float | None:
    if reference is None:
        return None
    own, alone = _lessons(course, task, reference)
    if not len(own[0]) or not len(alone[0]):
        return None
    (best, needed), (experts, experts_needed) = _saturation(*own), _saturation(*alone)
    if best <= 0.0 or experts <= 0.0 or needed <= 0.0 or experts_needed <= 0.0:
        return None
    return finite(best / experts * experts_needed / needed)


def _lessons(course: Course, task: str, reference: Course) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    lesson_of(reference, task)
    if course.env_steps_per_experience != reference.env_steps_per_experience:
        raise ValueError(
            f"The reference for {task!r} must have experiences of as many environment steps as the run: "
            f"{course.env_steps_per_experience}, got {reference.env_steps_per_experience}."
        )
    return course.lesson(task), reference.lesson(task)


def _saturation(steps: Floats, scores: Floats) -> tuple[float, float]:
    """The best score, and the experiences after which it was first reached."""
    best = int(scores.argmax())
    return float(scores[best]), float(steps[best])
