"""Score curves: each task over the whole stream, the mean over what was seen, and the prequential score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.numbers import score
from lifelong.evaluation.shifts import shifts_of
from lifelong.events import TaskScored
from lifelong.record.marks import bands, colour_of, end_labels, shift_lane, shortened
from lifelong.record.palette import INK, MUTED, REFERENCE, colour, dash
from lifelong.record.runs import RecordedRun
from lifelong.record.stage import stage, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
_NOWHERE: Curve = (np.array([np.nan]), np.array([np.nan]))


def task_curve(run: RecordedRun, task: str) -> Curve:
    """Steps and scores of one task, over all looks."""
    looks = {step: event.score for step, event in run.trace.all(TaskScored) if event.task == task}
    return np.array(list(looks), dtype=np.float64), np.array(list(looks.values()), dtype=np.float64)


def mean_curve(run: RecordedRun) -> Curve:
    """Steps and the mean score over the tasks seen until then."""
    looks: dict[int, dict[str, float]] = {}
    for step, event in run.trace.all(TaskScored):
        if event.seen:
            looks.setdefault(step, {})[event.task] = event.score
    means = [sum(scores.values()) / len(scores) for scores in looks.values()]
    return np.array(list(looks), dtype=np.float64), np.array(means, dtype=np.float64)


def prequential_curve(run: RecordedRun, bins: int = 160, in_worlds: bool = False) -> Curve:
    """Prequential scores averaged over about `bins` equal stretches of the stream, each put at its middle.

    in_worlds: of worlds to act in, the returns of the episodes that ended while learning; else of all other tasks.
    Where tasks of the other kind were lived in between, the curve is broken by a point that is not a number.
    """
    scores, acted = run.trace.oriented_scores(), run.trace.in_worlds()
    kind = acted if in_worlds else ~acted
    # Of some experiences there is no score: no episode ended in them.
    known = kind & (np.isfinite(scores) | ~acted)
    updates = run.trace.updates
    width = max(1, -(-int(updates[known].sum()) // bins))
    parts: list[Curve] = []
    for part in np.split(np.arange(len(kind)), np.flatnonzero(np.diff(kind)) + 1):
        places = part[known[part]]
        if len(places):
            parts += [_NOWHERE] if parts else []
            parts.append(_averaged(run.trace.steps[places], scores[places], updates[places], width))
    return (
        np.concatenate([np.empty(0), *(steps for steps, _ in parts)]),
        np.concatenate([np.empty(0), *(values for _, values in parts)]),
    )


def _averaged(steps: NDArray[np.int64], scores: NDArray[np.float64], updates: NDArray[np.int64], width: int) -> Curve:
    """Means over each `width` updates, and over what is left at the end; a row of several is put at its middle."""
    done = np.cumsum(updates)
    starts = np.flatnonzero(np.diff((done - 1) // width, prepend=-1))
    counts = np.add.reduceat(updates, starts)
    middles = (steps - (updates - 1) / 2) * updates
    return np.add.reduceat(middles, starts) / counts, np.add.reduceat(scores * updates, starts) / counts


def score_figure(run: RecordedRun, naive: RecordedRun | None) -> Figure:
    """Mean score and one row for each task; the naive run in grey, where one is given."""
    tasks = run.matrix.tasks
    row = 0.62 if len(tasks) <= 8 else 0.48
    figure, (lane, top, *panels) = stage(run, [(0.02, 0.36), (0.24, 1.25), *([(0.3, row)] * len(tasks))])
    shift_lane(lane, run)
    both = [run, *([naive] if naive else [])]
    span = _span(both)
    # Raw returns of unlike worlds have no scale in common.
    own_scales = any(task.metric == "return" for task in run.trace.started.tasks)
    title(top, "Mean over the tasks seen so far")
    bands(top, run)
    percent = run.summary.percent
    _curves(top, run, mean_curve(run), mean_curve(naive) if naive else None, INK, span, percent)
    for axes, task in zip(panels, tasks, strict=True):
        tint = colour_of(run, task)
        title(axes, shortened(task, 70), tint)
        bands(axes, run, strong=task)
        scale = _span(both, task) if own_scales else span
        _curves(axes, run, task_curve(run, task), task_curve(naive, task) if naive else None, tint, scale, percent)
    return figure


def prequential_figure(run: RecordedRun, naive: RecordedRun | None, in_worlds: bool = False) -> Figure:
    """The score on new samples before learning from them, or the return of episodes while learning; smoothed."""
    figure, (axes,) = stage(run, [(0.1, 1.7)])
    curve = prequential_curve(run, in_worlds=in_worlds)
    other = prequential_curve(naive, in_worlds=in_worlds) if naive else None
    values = np.concatenate([curve[1], other[1] if other else np.empty(0)])
    bands(axes, run)
    # A return is no share of anything, even where the scores of the judgings are.
    percent = run.summary.percent and not in_worlds
    _curves(axes, run, curve, other, INK, limits(values, percent), percent)
    return figure


def comparison_figure(runs: Sequence[RecordedRun], names: Sequence[str]) -> Figure:
    """The mean score over the tasks seen of several runs, each named at its end."""
    longest = max(runs, key=lambda run: run.trace.end)
    figure, (axes,) = stage(longest, [(0.1, 2.6)], right=0.78, strip=MUTED)
    axes.set_ylim(*_span(runs))
    percent = runs[0].summary.percent
    ticks(axes, percent)
    labels = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        steps, scores = mean_curve(run)
        axes.plot(steps, scores, color=colour(place), linestyle=dash(place))
        if len(scores):
            text = f"{shortened(name, 20)} {score(float(scores[-1]), percent)}"
            labels.append((float(scores[-1]), text, colour(place), True))
    end_labels(axes, labels)
    return figure


def _curves(
    axes: Axes,
    run: RecordedRun,
    curve: Curve,
    naive: Curve | None,
    tint: str,
    span: tuple[float, float],
    percent: bool,
) -> None:
    """One curve over shift lines, the naive one in grey behind it, final values at the right."""
    for step in shifts_of(run.trace).hit_steps:
        axes.axvline(step, color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
    axes.set_ylim(*span)
    ticks(axes, percent)
    drawn = [(naive, REFERENCE, 1.5), (curve, tint, 1.8)]
    labels = []
    for line, shade, width in drawn:
        if line is not None and len(line[0]):
            axes.plot(*line, color=shade, linewidth=width)
            last = float(line[1][-1])
            labels.append((last, score(last, percent), shade, line is curve))
    end_labels(axes, labels)


def ticks(axes: Axes, percent: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: score(value, percent).replace(".0 ", " ")))


def _span(runs: Sequence[RecordedRun], task: str | None = None) -> tuple[float, float]:
    """One y axis for all panels, so that they can be compared, or for that of one task."""
    judged = [event for run in runs for _, event in run.trace.all(TaskScored)]
    values = np.array([event.score for event in judged if task in (None, event.task)])
    return limits(values, runs[0].summary.percent)


def limits(values: NDArray[np.float64], percent: bool) -> tuple[float, float]:
    """Limits that hold the values; an untrained learner's far outliers of an unbounded metric are cut off.

    A normalised return is above 1 where it is better than the expert's.
    """
    known = values[np.isfinite(values)]
    if percent:
        low = min(0.0, max(float(known.min(initial=0.0)), -0.5))
        return low - 0.03, float(known.max(initial=1.0)) + 0.03
    if not len(known):
        return 0.0, 1.0
    low, high = np.quantile(known, [0.05, 1.0])
    room = 0.08 * (high - low) or 1.0
    return float(low - room), float(high + room)
