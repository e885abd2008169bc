"""What went on inside the learner: the shift detector, the active expert, the protected directions."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.shifts import shifts_of
from lifelong.events import ShiftDismissed, SubspaceGrown
from lifelong.record.curves import INCHES, LEFT, RIGHT
from lifelong.record.marks import WIDTH, bands, colour_of, end_labels, plain, task_strip
from lifelong.record.palette import ALARM, INK, MUTED, colour, dash
from lifelong.record.runs import RecordedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def detector_figure(run: RecordedRun) -> Figure:
    """The detector's statistic against its threshold, and below it which expert learned when."""
    from matplotlib.figure import Figure

    experts = sorted(set(run.trace.experts.tolist()))
    lanes = 0.2 * max(len(experts), 1)
    heights = (0.24, 1.5, lanes)
    total = sum(heights) + 1.05
    figure = Figure(figsize=(WIDTH, total))
    top, axes, below = figure.subplots(
        3, 1, height_ratios=heights,
        gridspec_kw={
            "left": LEFT + 0.03, "right": RIGHT, "top": 1 - 0.08 / total, "bottom": 0.42 / total,
            "hspace": 0.22 * 3 / sum(heights),
        },
    )  # fmt: skip
    for each in (top, axes, below):
        plain(each, run.trace.end)
    task_strip(top, run, INCHES - 0.03 * WIDTH)
    _statistic(axes, run)
    axes.tick_params(labelbottom=False)
    _lanes(below, run, experts)
    below.set_xlabel("experiences learned")
    return figure


def rank_figure(run: RecordedRun) -> Figure:
    """The share of each layer's input directions that is protected, over the stream."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    grown: dict[tuple[int, str], list[tuple[int, SubspaceGrown]]] = {}
    for step, event in run.trace.all(SubspaceGrown):
        grown.setdefault((event.expert, event.layer), []).append((step, event))
    figure = Figure(figsize=(WIDTH, max(2.2, 0.3 + 0.15 * len(grown))))
    axes = figure.subplots(gridspec_kw={"left": LEFT, "right": 0.74, "top": 0.96, "bottom": 0.19})
    plain(axes, run.trace.end)
    bands(axes, run)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    labels = []
    layers = list(dict.fromkeys(layer for _, layer in grown))
    several = len({expert for expert, _ in grown}) > 1
    for place, ((expert, layer), events) in enumerate(grown.items()):
        tint = colour(layers.index(layer) if not several else place)
        steps = [0, *(step for step, _ in events), run.trace.end]
        shares = [0.0, *(event.rank / event.size for _, event in events)]
        axes.step(
            steps, [*shares, shares[-1]], where="post", color=tint, linestyle=dash(place), linewidth=1.4
        )
        last = events[-1][1]
        name = f"expert {expert} {layer}" if several else layer
        labels.append((shares[-1], f"{name} {last.rank}/{last.size}", tint, False))
    if len(labels) <= 18:
        end_labels(axes, labels, 72 * 0.77 * float(figure.get_size_inches()[1]))
    axes.set_xlabel("experiences learned")
    return figure


def envelope(
    steps: NDArray[np.int64], values: NDArray[np.float64], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The same line in at most 2 * bins points: lowest and highest of each stretch, in their order."""
    if len(values) <= 2 * bins:
        return steps, values
    starts = np.linspace(0, len(values), bins + 1).astype(int)
    picks = [
        first + np.sort([np.argmin(values[first:last]), np.argmax(values[first:last])])
        for first, last in pairwise(starts)
    ]
    places = np.concatenate(picks)
    return steps[places], values[places]


def _statistic(axes: Axes, run: RecordedRun) -> None:
    threshold = run.summary.threshold
    bands(axes, run)
    axes.plot(*envelope(run.trace.steps, run.trace.statistics, 700), color=INK, linewidth=0.9)
    highest = float(np.max(run.trace.statistics[np.isfinite(run.trace.statistics)], initial=0.0))
    top = 1.15 * max(highest, threshold or 0.0) or 1.0
    if threshold is not None:
        # One huge jump must not flatten everything that the detector weighed before it.
        top = min(top, 4.0 * threshold)
        axes.axhline(threshold, color=ALARM, linewidth=1.1, linestyle=(0, (5, 2)))
        axes.annotate(
            f"threshold {threshold:g}", (1, threshold), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", size=8.5, color=ALARM, annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(min(0.0, float(np.min(run.trace.statistics, initial=0.0))), top)
    shifts = shifts_of(run.trace)
    dismissed = [step for step, _ in run.trace.all(ShiftDismissed)]
    for steps, edge, face in (
        (shifts.hit_steps, INK, INK),
        (shifts.false_steps, ALARM, "none"),
        (dismissed, MUTED, "none"),
    ):
        axes.plot(
            steps,
            [0.93 * top] * len(steps),
            "v",
            markeredgecolor=edge,
            markerfacecolor=face,
            markersize=6,
            clip_on=False,
        )
    cut = " (peaks are cut off)" if highest > top else ""
    axes.set_title(f"Detector statistic{cut}", loc="left", color=INK, fontweight="bold", pad=3)


def _lanes(axes: Axes, run: RecordedRun, experts: list[int]) -> None:
    """A bar wherever an expert learned, in the colour of the task that it was really given."""
    trace = run.trace
    axes.set_ylim(len(experts) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.set_yticks(range(len(experts)), [f"expert {expert}" for expert in experts])
    for stretch in trace.truth():
        inside = (trace.steps > stretch.start) & (trace.steps <= stretch.stop)
        for lane, expert in enumerate(experts):
            bars = _stretches(trace.steps[inside & (trace.experts == expert)])
            tint = colour_of(run, stretch.task)
            axes.broken_barh(bars, (lane - 0.36, 0.72), facecolors=tint, linewidth=0)
    axes.set_title("Expert that learned", loc="left", color=INK, fontweight="bold", pad=3)


def _stretches(steps: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Runs of consecutive steps as (start, width)."""
    if not len(steps):
        return []
    cuts = np.flatnonzero(np.diff(steps) > 1) + 1
    return [(float(part[0] - 1), float(len(part))) for part in np.split(steps, cuts)]
