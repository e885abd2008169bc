"""The figure of probes: tasks that are judged and never taught, over the stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifelong.evaluation.analysis.probe import Probe
from lifelong.evaluation.numbers import score
from lifelong.record.marks import bands, colour_of, end_labels, shortened
from lifelong.record.runs import RecordedRun
from lifelong.record.stage import stage, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def probe_figure(run: RecordedRun, probes: Sequence[Probe]) -> Figure:
    """The score of each probe after every segment; what is taught meanwhile is tinted."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure, (axes,) = stage(run, [(0.28, 1.9)], right=0.8)
    percent = run.summary.percent
    title(axes, "Score on tasks that are never taught")
    bands(axes, run)
    labels = []
    for probe in probes:
        tint = colour_of(run, probe.task)
        axes.plot(probe.steps, probe.scores, "o-", color=tint, markersize=4)
        text = f"{shortened(probe.task, 16)} {score(probe.scores[-1], percent)}"
        labels.append((probe.scores[-1], text, tint, True))
    axes.margins(y=0.15)
    axes.set_xlim(0, max(run.trace.end, 1))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: score(value, percent).replace(".0 ", " ")))
    end_labels(axes, labels)
    return figure
