"""Curves of a study: the mean over seeds as a line for each agent, and how sure it is as a band around it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.numbers import score
from lifelong.record.curves import Curve, limits, mean_curve, task_curve, ticks
from lifelong.record.marks import end_labels, shortened
from lifelong.record.palette import ASIDE, MUTED, colour, dash
from lifelong.record.runs import RecordedRun
from lifelong.record.stage import stage, title
from lifelong.study.statistics import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 8
"""Agents up to which the lines of small panels are named at their ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Steps (L,), the mean over seeds there (L,), and the ends of its interval (L,); one seed alone has no width."""

    steps: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What is drawn of one run: the mean over the tasks seen, and each task by its place in the stream."""

    mean: Curve
    tasks: tuple[Curve, ...]


def curves_of(run: RecordedRun) -> Curves:
    return Curves(mean_curve(run), tuple(task_curve(run, task) for task in run.matrix.tasks))


def band_of(curves: Sequence[Curve]) -> Band:
    """The seeds' curves as one, at those steps at which all of them were judged."""
    steps = sorted(set.intersection(*(set(steps.tolist()) for steps, _ in curves)))
    rows = [dict(zip(steps_of.tolist(), values.tolist(), strict=True)) for steps_of, values in curves]
    values_SL = np.array([[row[step] for step in steps] for row in rows]).reshape(len(rows), len(steps))
    low, high = interval(values_SL) if steps else (np.empty(0), np.empty(0))
    return Band(np.array(steps, dtype=np.float64), values_SL.mean(axis=0), low, high)


def mean_figure(frame: RecordedRun, runs: Mapping[str, Sequence[Curves]], dashed: Collection[str] = ()) -> Figure:
    """The mean score over the tasks seen so far, each agent named at its end; `dashed` ones stand back."""
    # As high as its labels, one above the other.
    figure, (axes,) = stage(frame, [(0.1, max(2.8, 0.16 * len(runs)))], right=0.78, strip=MUTED)
    found = {label: band_of([curves.mean for curves in of_agent]) for label, of_agent in runs.items()}
    _draw(axes, frame, found, dashed, shortened_to=20)
    return figure


def tasks_figure(frame: RecordedRun, runs: Mapping[str, Sequence[Curves]], dashed: Collection[str] = ()) -> Figure:
    """A panel for each task, with a line for each agent; a panel is tinted while its task is taught."""
    tasks = frame.matrix.tasks
    figure, panels = stage(frame, [(0.3, 0.95 if len(tasks) <= 8 else 0.7)] * len(tasks), right=0.78, strip=MUTED)
    for place, (axes, task) in enumerate(zip(panels, tasks, strict=True)):
        title(axes, shortened(task, 70))
        for stretch in frame.trace.truth():
            # Colours are the agents' here.
            if stretch.task == task:
                axes.axvspan(stretch.start, stretch.stop, color=MUTED, alpha=0.13, linewidth=0, zorder=0)
        found = {label: band_of([curves.tasks[place] for curves in of_agent]) for label, of_agent in runs.items()}
        _draw(axes, frame, found, dashed, shortened_to=14, named=len(runs) <= MOST_LABELS)
    return figure


def _draw(
    axes: Axes,
    frame: RecordedRun,
    found: Mapping[str, Band],
    dashed: Collection[str],
    shortened_to: int,
    named: bool = True,
) -> None:
    percent = frame.summary.percent
    axes.set_ylim(*limits(np.concatenate([b for band in found.values() for b in (band.low, band.high)]), percent))
    ticks(axes, percent)
    labels = []
    for place, (label, band) in enumerate(found.items()):
        if not len(band.steps):
            continue
        tint = colour(place)
        axes.fill_between(band.steps, band.low, band.high, color=tint, alpha=0.18, linewidth=0)
        axes.plot(band.steps, band.mean, color=tint, linestyle=ASIDE if label in dashed else dash(place), linewidth=1.6)
        last = float(band.mean[-1])
        labels.append((last, f"{shortened(label, shortened_to)} {score(last, percent)}", tint, False))
    if named:
        end_labels(axes, labels)
