"""Transfer as Continual World measures it: final performance P, forgetting F, forward transfer FT.

Wołczyk et al. 2021, "Continual World: A Robotic Benchmark For Continual Reinforcement Learning". Scores are
performances p with 1 for full success: success rates, or returns normalised by those of an expert. Task i is taught
until t_i, and the run ends at T. There a task is judged fifty times while it is taught, and numbers are means over the
last five judgings; where a task is judged more rarely, `last` should be smaller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lifelong.evaluation.course import Course, area, finite, lesson_of
from lifelong.evaluation.trace import Stretch


def cw_performance(course: Course, last: int = 1) -> dict[str, float | None]:
    """p_i(T), the performance in each task taught at the end, that is at the `last` latest judgings; P is their mean.

    A task that was taught several times counts once. Raises ValueError where a task was not judged that often while it
    was taught for the last time: what lies before is not the end.
    """
    return {task: _late(course, task, course.visits[-1], last) for task in course.taught()}


def cw_forgetting(course: Course, last: int = 1) -> dict[str, float | None]:
    """F_i = p_i(t_i) - p_i(T) of each task taught, positive where something was forgotten; F is their mean.

    The task taught last is among them, with 0. Of a task that comes back, t_i is the end of its last visit: what was
    forgotten before, and taught again, is not forgotten in the end. Raises what `cw_performance` raises.
    """
    return {
        task: _difference(_late(course, task, course.of(task)[-1], last), _late(course, task, course.visits[-1], last))
        for task in course.taught()
    }


def cw_forward_transfer(course: Course, references: Mapping[str, Sequence[Course]]) -> dict[str, float | None]:
    """FT_i = (AUC_i - AUC_ref) / (1 - AUC_ref) of each task taught; FT is their mean.

    AUC_i is the mean of p_i while task i is taught for the first time; in a later visit it is not new any more.
    AUC_ref is the same of runs of equal length that were taught this task alone, the mean over `references[i]`. A task
    has None where it has no reference, where the reference leaves nothing to gain (AUC_ref is 1 or above), and where
    it was not judged at both ends. Raises ValueError for a reference of another task or another length.
    """
    return {task: _gain(course, task, references.get(task, ())) for task in course.taught()}


def cw_interval(
    values: Sequence[float], level: float = 0.9, resamples: int = 4000, seed: int = 0
) -> tuple[float, float]:
    """Where the mean of a measure over runs of several seeds lies: a percentile bootstrap interval.

    The same seed gives the same interval. Raises ValueError for fewer than two values, from which nothing can be said
    of their spread, and for a level that is not between 0 and 1.
    """
    if len(values) < 2:
        raise ValueError(f"An interval needs the values of at least two runs, got {len(values)}.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is the share of means inside the interval: give 0 < level < 1, got {level}.")
    drawn = np.random.default_rng(seed).choice(np.asarray(values, dtype=np.float64), (resamples, len(values)))
    low, high = np.quantile(drawn.mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _gain(course: Course, task: str, references: Sequence[Course]) -> float | None:
    visit = course.of(task)[0]
    own = _mean_height(course, task, visit)
    alone = []
    for reference in references:
        lesson = lesson_of(reference, task, visit.stop - visit.start, course.env_steps_per_experience)
        alone.append(_mean_height(reference, task, lesson))
    known = [height for height in alone if height is not None]
    if own is None or not known or len(known) < len(alone):
        return None
    reference_area = sum(known) / len(known)
    return finite((own - reference_area) / (1.0 - reference_area)) if reference_area < 1.0 else None


def _mean_height(course: Course, task: str, visit: Stretch) -> float | None:
    return area(*course.curve(task, visit.start, visit.stop), visit.start, visit.stop)


def _late(course: Course, task: str, visit: Stretch, last: int) -> float | None:
    """Mean of a task's scores at the `last` latest judgings of a visit, of this task or another one."""
    if last < 1:
        raise ValueError(f"last counts judgings: give 1 or more, got {last}.")
    rows = np.flatnonzero((course.steps > visit.start) & (course.steps <= visit.stop))[-last:]
    if len(rows) < last:
        raise ValueError(
            f"The last visit to {visit.task!r} holds {len(rows)} judgings, fewer than the {last} to be averaged over: "
            "judge more often, or give a smaller `last`."
        )
    return finite(float(course.scores[rows, course.tasks.index(task)].mean()))


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after
