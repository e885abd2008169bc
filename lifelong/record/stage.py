"""The frame of every figure over time: a strip with the true tasks on top, panels below, one x axis for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifelong.record.marks import colour_of, shortened
from lifelong.record.measures import counted
from lifelong.record.palette import GRID, INK, SURFACE
from lifelong.record.runs import RecordedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.2
"""Figure width in inches; the page scales it."""
LEFT = 0.055
STRIP, MARGIN, FOOT = 0.24, 0.08, 0.44
LETTER = 0.075
"""Width of a letter of the strip in inches, roundly."""


def stage(
    run: RecordedRun,
    panels: Sequence[tuple[float, float]],
    left: float = LEFT,
    right: float = 0.885,
    strip: str | None = None,
) -> tuple[Figure, list[Axes]]:
    """A figure with the strip and one empty panel for each (gap above, height) in inches.

    `left` and `right` are where panels begin and end, as shares of the width; labels go beyond them. `strip` is
    one colour for the strip, for figures in which the tasks' colours mean something else.
    """
    from matplotlib.figure import Figure

    total = MARGIN + STRIP + sum(gap + height for gap, height in panels) + FOOT
    figure = Figure(figsize=(WIDTH, total))
    top = total - MARGIN
    rows = []
    for gap, height in ((0.0, STRIP), *panels):
        top -= gap + height
        axes = figure.add_axes((left, top / total, right - left, height / total))
        axes.set_xlim(0, max(run.trace.end, 1))
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelbottom=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        rows.append(axes)
    rows[-1].tick_params(labelbottom=True)
    rows[-1].set_xlabel(_clock(run))
    _strip(rows[0], run, WIDTH * (right - left), strip)
    return figure, rows[1:]


def _clock(run: RecordedRun) -> str:
    """What the x axis counts."""
    each = counted(run.summary)
    return "experiences learned" + (f" (each {each})" if each else "")


def title(axes: Axes, text: str, tint: str = INK) -> None:
    """Name a panel, above its left corner."""
    axes.set_title(text, loc="left", color=tint, fontweight="bold", pad=3)


def _strip(axes: Axes, run: RecordedRun, inches: float, colour: str | None) -> None:
    """Name the true task of each stretch; names that do not fit into their part of the width are cut."""
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    for stretch in run.trace.truth():
        tint, middle = colour or colour_of(run, stretch.task), (stretch.start + stretch.stop) / 2
        axes.axvspan(stretch.start, stretch.stop, facecolor=tint, edgecolor=SURFACE, alpha=0.85, linewidth=0.8)
        room = int(inches * (stretch.stop - stretch.start) / max(run.trace.end, 1) / LETTER)
        axes.text(middle, 0.45, shortened(stretch.task, room), color=SURFACE, ha="center", va="center", size=8.5)
