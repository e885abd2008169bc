"""The stability gap: how far old tasks fall while a new one is learned, also where they have recovered by its end.

De Lange, van de Ven, Tuytelaars: Continual evaluation for lifelong learning: identifying the stability gap (ICLR 2023),
section 3. The score matrix sees the ends of segments alone; these measures see every look. With few looks the minimum
is found too high: `evaluation.within` sets their number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong.evaluation.course import Course, course_of, mean_of
from lifelong.evaluation.trace import Trace


@dataclass(frozen=True, slots=True)
class Gap:
    """One old task over one visit to another: its score before it, at its lowest inside, and at its end."""

    task: str
    during: str
    start: int
    before: float
    lowest: float
    after: float

    @property
    def depth(self) -> float:
        """What was lost at the worst moment; negative where the task never fell below what it was."""
        return self.before - self.lowest

    @property
    def recovered(self) -> float:
        """What of it was there again at the visit's end, without having been taught: no more than had been lost."""
        return max(0.0, min(self.after, self.before) - self.lowest)


@dataclass(frozen=True, slots=True)
class Stability:
    """`minima`: for each old task its lowest score at any look after its first visit.

    min_acc: their mean, over all tasks but the last. wc_acc: worst-case accuracy, 1/k of the last task's score and
    1 - 1/k of min_acc, for k tasks taught. `gaps` are in order of time, `looks` counts the judgings after the first
    task was taught, in which they were found; those at segments' ends are among them.
    """

    min_acc: float | None
    wc_acc: float | None
    minima: dict[str, float]
    gaps: tuple[Gap, ...]
    looks: int

    @property
    def depth(self) -> float | None:
        """Mean depth of the gaps."""
        return mean_of({place: gap.depth for place, gap in enumerate(self.gaps)})

    @property
    def recovered(self) -> float | None:
        """Mean of what had been lost at the worst moment and was there again at the end of a visit."""
        return mean_of({place: gap.recovered for place, gap in enumerate(self.gaps)})


def stability_of(trace: Trace) -> Stability:
    """The stability of a run, also of an interrupted one, up to its last whole segment; None where nothing is old."""
    course = course_of(trace)
    taught = course.taught()
    if not taught:
        return Stability(None, None, {}, (), 0)
    last = course.visits[-1]
    minima = {}
    for task in taught:
        _, scores = course.curve(task, course.of(task)[0].stop + 1, last.stop)
        if task != last.task and len(scores):
            minima[task] = float(scores.min())
    min_acc = mean_of(minima)
    _, ending = course.curve(last.task, last.stop, last.stop)
    wc_acc = None
    if len(ending) and (min_acc is not None or len(taught) == 1):
        share = 1 / len(taught)
        wc_acc = share * float(ending[-1]) + (1 - share) * (min_acc or 0.0)
    first = course.of(taught[0])[0].stop
    return Stability(min_acc, wc_acc, minima, tuple(_gaps(course)), int(np.sum(course.steps > first)))


def _gaps(course: Course) -> list[Gap]:
    gaps = []
    for place, visit in enumerate(course.visits):
        for task in dict.fromkeys(before.task for before in course.visits[:place]):
            steps, scores = course.curve(task, visit.start, visit.stop)
            if task != visit.task and len(steps) > 1 and steps[0] == visit.start and steps[-1] == visit.stop:
                before, lowest, after = float(scores[0]), float(scores[1:].min()), float(scores[-1])
                gaps.append(Gap(task, visit.task, visit.start, before, lowest, after))
    return gaps
