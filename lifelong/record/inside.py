"""What went on inside the learner: the shift detector, the active expert, the protected directions."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.numbers import count
from lifelong.events import ShiftDetected, ShiftDismissed, SubspaceGrown
from lifelong.record.marks import alarms, bands, colour_of, end_labels, shortened
from lifelong.record.palette import ALARM, INK, colour, dash
from lifelong.record.runs import RecordedRun
from lifelong.record.stage import LEFT, stage, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def detector_figure(run: RecordedRun) -> Figure:
    """The detector's statistic against its threshold, and below it which expert learned when."""
    experts = sorted(set(run.trace.experts.tolist()))
    panels = [(0.26, 1.5), (0.26, 0.2 * max(len(experts), 1))]
    figure, (above, below) = stage(run, panels, left=LEFT + 0.03)
    _statistic(above, run)
    _lanes(below, run, experts)
    return figure


def rank_figure(run: RecordedRun) -> Figure:
    """The share of each layer's input directions that is protected: a panel a layer, a line an expert."""
    from matplotlib.ticker import PercentFormatter

    grown: dict[str, dict[int, list[tuple[int, SubspaceGrown]]]] = {}
    for step, event in run.trace.all(SubspaceGrown):
        grown.setdefault(event.layer, {}).setdefault(event.expert, []).append((step, event))
    heights = [(0.28, max(0.62, 0.15 * len(experts))) for experts in grown.values()]
    figure, panels = stage(run, heights, right=0.845)
    for axes, (layer, experts) in zip(panels, grown.items(), strict=True):
        bands(axes, run)
        axes.set_ylim(0, 1.04)
        axes.set_yticks([0.0, 0.5, 1.0])
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        labels = []
        for expert, events in experts.items():
            steps = [0, *(step for step, _ in events), run.trace.end]
            shares = [0.0, *(event.rank / event.size for _, event in events)]
            tint = colour(expert) if len(experts) > 1 else INK
            axes.step(steps, [*shares, shares[-1]], where="post", color=tint, linestyle=dash(expert))
            name = f"expert {expert}: " if len(experts) > 1 else ""
            labels.append((shares[-1], f"{name}{count(events[-1][1].rank)}", tint, False))
        end_labels(axes, labels)
        size = next(iter(experts.values()))[-1][1].size
        title(axes, f"{shortened(layer, 60)}, {count(size)} directions")
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


def detector_curve(run: RecordedRun) -> NDArray[np.float64]:
    """(R,) the detector's statistic at each update, where it fired that which it fired with.

    After an alarm it begins anew, and an experience in a world may hold many looks: its last one does not show that.
    """
    curve = run.trace.statistics.copy()
    fired: list[tuple[int, ShiftDetected | ShiftDismissed]] = []
    fired += run.trace.all(ShiftDetected)
    fired += run.trace.all(ShiftDismissed)
    for step, event in fired:
        at = int(np.searchsorted(run.trace.steps, step))
        if at < len(curve) and run.trace.steps[at] - run.trace.updates[at] < step:
            curve[at] = np.fmax(curve[at], event.statistic)
    return curve


def finite_threshold(run: RecordedRun) -> float | None:
    """What the statistic must pass to be a shift; None where nothing can, as when the inputs alone are watched."""
    threshold = run.summary.threshold
    return threshold if threshold is not None and math.isfinite(threshold) else None


def _statistic(axes: Axes, run: RecordedRun) -> None:
    threshold = finite_threshold(run)
    bands(axes, run)
    statistics = detector_curve(run)
    axes.plot(*envelope(run.trace.steps, statistics, 700), color=INK, linewidth=0.8)
    finite = statistics[np.isfinite(statistics)]
    highest = float(np.max(finite, initial=0.0))
    top = 1.15 * max(highest, threshold or 0.0) or 1.0
    if threshold is not None:
        # One huge jump must not flatten everything that the detector weighed before it.
        top = min(top, 4.0 * threshold)
        axes.axhline(threshold, color=ALARM, linewidth=1.1, linestyle=(0, (5, 2)))
        axes.annotate(
            f"threshold {threshold:g}", (1, threshold), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", size=8.5, color=ALARM, annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(float(np.min(finite, initial=0.0)), top)
    alarms(axes, run, 0.93 * top)
    cut = " (peaks are cut off)" if highest > top else ""
    title(axes, f"Detector statistic{cut}")


def _lanes(axes: Axes, run: RecordedRun, experts: list[int]) -> None:
    """A bar wherever an expert learned, in the colour of the task that it was really given."""
    trace = run.trace
    axes.set_ylim(max(len(experts), 1) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.set_yticks(range(len(experts)), [f"expert {expert}" for expert in experts])
    for stretch in trace.truth():
        inside = (trace.steps > stretch.start) & (trace.steps <= stretch.stop)
        for lane, expert in enumerate(experts):
            mine = inside & (trace.experts == expert)
            bars = _stretches(trace.steps[mine], trace.updates[mine])
            tint = colour_of(run, stretch.task)
            axes.broken_barh(bars, (lane - 0.36, 0.72), facecolors=tint, linewidth=0)
    title(axes, "Expert that learned")


def _stretches(steps: NDArray[np.int64], updates: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Runs of consecutive steps as (start, width)."""
    if not len(steps):
        return []
    begins = steps - updates
    cuts = np.flatnonzero(begins[1:] > steps[:-1])
    firsts, lasts = begins[np.concatenate([[0], cuts + 1])], steps[np.concatenate([cuts, [len(steps) - 1]])]
    return [(float(first), float(last - first)) for first, last in zip(firsts, lasts, strict=True)]
