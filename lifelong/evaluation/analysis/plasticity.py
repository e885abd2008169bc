"""Plasticity: how well and how fast each task in turn is learned, and whether that fades.

An agent loses plasticity where later tasks of the same difficulty are learned worse or slower than earlier ones (Dohare
et al., Loss of plasticity in deep continual learning, Nature 2024). Prequential scores are those on new samples before
learning from them, higher-is-better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.course import Course, course_of
from lifelong.evaluation.trace import Trace

SHARE, WINDOW = 0.9, 10


@dataclass(frozen=True, slots=True)
class Lesson:
    """How one task was learned when it was new: its first visit, which lasted `experiences`.

    `final`: its test score at the visit's end. `area`: area under the learning curve over its length, the mean
    prequential score of the visit. `speed`: experiences until the smoothed prequential score first reached a share of
    what it ended with. None where a number is not defined: no finite score, or one that does not end above zero.
    """

    task: str
    experiences: int
    final: float | None
    area: float | None
    speed: int | None


@dataclass(frozen=True, slots=True)
class Trend:
    """What a quantity changed by from one new task to the next, on the average; None with fewer than two tasks.

    Below zero plasticity was lost, except for `speed`, where a slope above zero says that later tasks take longer.
    """

    final: float | None
    area: float | None
    speed: float | None


def lessons_of(trace: Trace, share: float = SHARE, window: int = WINDOW) -> list[Lesson]:
    """The lessons of a run in the order of the tasks, first visits alone: who comes back is remembered, not learned.

    share: of the score at the visit's end, in (0, 1]. window: experiences that a smoothed score is the mean of, those
    up to it; fewer at the start do not count. Raises ValueError for a share or window out of range.
    """
    if not 0 < share <= 1 or window < 1:
        raise ValueError(f"share must be in (0, 1] and window at least 1, got share={share}, window={window}.")
    course, lessons = course_of(trace), []
    scores = trace.oriented_scores()
    for task in course.taught():
        visit = course.of(task)[0]
        inside = (trace.steps > visit.start) & (trace.steps <= visit.stop)
        curve, updates = scores[inside], trace.updates[inside]
        known = np.isfinite(curve)
        lessons.append(
            Lesson(
                task,
                visit.stop - visit.start,
                _at(course, task, visit.stop),
                float(np.average(curve[known], weights=trace.scored[inside][known])) if known.any() else None,
                fit_speed(curve, share, window, updates),
            )
        )
    return lessons


def fit_speed(
    curve: NDArray[np.float64],
    share: float = SHARE,
    window: int = WINDOW,
    updates: NDArray[np.int64] | None = None,
) -> int | None:
    """Experiences (1 is the first) until the moving average over `window` reached `share` of its last value.

    None where that last value is not above zero, or the curve (R,) holds no finite value. Steps without a score, as
    when no episode ended, count as time and not as scores. updates: how many experiences each point is the mean of
    (None: one); the window is then as many points as come nearest, and the answer as fine as they are.
    """
    updates = np.ones(len(curve), dtype=np.int64) if updates is None else updates
    known = np.isfinite(curve)
    if not known.any():
        return None
    width = min(max(1, round(window / float(np.median(updates)))), int(known.sum()))
    smooth = np.convolve(curve[known], np.full(width, 1 / width), mode="valid")
    if smooth[-1] <= 0:
        return None
    first = int(np.argmax(smooth >= share * smooth[-1] - 1e-12))
    return int(np.cumsum(updates)[np.flatnonzero(known)[first + width - 1]])


def trend_of(lessons: Sequence[Lesson], reference: Sequence[Lesson] | None = None) -> Trend:
    """Slopes over the order of the tasks, by least squares.

    reference: lessons of another run of the same stream, such as of one network for each task. The slopes are then of
    the differences, task by task, which takes out that some tasks are harder than others.
    """
    other = None if reference is None else {lesson.task: lesson for lesson in reference}

    def over(name: str) -> float | None:
        points = []
        for place, lesson in enumerate(lessons):
            value = getattr(lesson, name)
            base = 0.0 if other is None else getattr(other[lesson.task], name) if lesson.task in other else None
            if value is not None and base is not None:
                points.append((place, value - base))
        return slope(points)

    return Trend(over("final"), over("area"), over("speed"))


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Slope of the least squares line through points; None where there are not two of different x."""
    x, y = np.array(points, dtype=np.float64).reshape(-1, 2).T
    if len(x) < 2 or np.ptp(x) == 0:
        return None
    return float(np.dot(x - x.mean(), y) / np.dot(x - x.mean(), x - x.mean()))


def _at(course: Course, task: str, step: int) -> float | None:
    _, scores = course.curve(task, step, step)
    return float(scores[-1]) if len(scores) else None
