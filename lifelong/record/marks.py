"""What figures over time share: bands of the true tasks, shift and spawn marks, labels that keep clear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifelong.evaluation.shifts import shifts_of
from lifelong.events import ExpertChosen, ExpertSpawned
from lifelong.record.palette import ALARM, GRID, INK, MUTED, SURFACE, colour
from lifelong.record.runs import RecordedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 9.2
"""Figure width in inches; the page scales it."""
LETTER = 0.068
"""Width of a letter of 9 points in inches, roundly."""


def colour_of(run: RecordedRun, task: str) -> str:
    """A task has one colour in all figures."""
    return colour(run.matrix.tasks.index(task))


def bands(axes: Axes, run: RecordedRun, strong: str | None = None) -> None:
    """Tint the background with the true task of each stretch; with `strong`, of that task alone."""
    for stretch in run.trace.truth():
        alpha = 0.1 if strong is None else 0.22 if stretch.task == strong else 0.0
        if alpha:
            axes.axvspan(
                stretch.start,
                stretch.stop,
                color=colour_of(run, stretch.task),
                alpha=alpha,
                linewidth=0,
                zorder=0,
            )


def task_strip(axes: Axes, run: RecordedRun, inches: float) -> None:
    """A strip, `inches` wide, that names the true task of each stretch; names that do not fit are cut."""
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    for stretch in run.trace.truth():
        left, right = stretch.start, stretch.stop
        axes.axvspan(left, right, color=colour_of(run, stretch.task), alpha=0.85, linewidth=0)
        room = int(inches * (right - left) / max(run.trace.end, 1) / LETTER) - 1
        axes.text(
            (left + right) / 2,
            0.45,
            shortened(stretch.task, room),
            color=SURFACE,
            ha="center",
            va="center",
            size=8.5,
        )


def shift_lane(axes: Axes, run: RecordedRun) -> None:
    """A lane of marks: shifts rightly found, false alarms, experts spawned and reused."""
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    shifts = shifts_of(run.trace)
    true, false = shifts.hit_steps, shifts.false_steps
    spawned = [(step, event.expert) for step, event in run.trace.all(ExpertSpawned)]
    new = set(spawned)
    chosen = [(step, event.expert) for step, event in run.trace.all(ExpertChosen)]
    axes.plot(true, [0.5] * len(true), "v", color=INK, markersize=5.5)
    axes.plot(false, [0.5] * len(false), "v", markeredgecolor=ALARM, markerfacecolor="none", markersize=5.5)
    for step, expert in sorted(new | set(chosen)):
        sign = "+" if (step, expert) in new else "↺"
        axes.annotate(
            f"{sign}{expert}",
            (step, 0.5),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=7.5,
            color=MUTED,
        )


def plain(axes: Axes, end: int) -> None:
    """Fine horizontal lines, no frame, the whole stream on the x axis."""
    axes.set_xlim(0, max(end, 1))
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def end_labels(axes: Axes, labels: Sequence[tuple[float, str, str, bool]], points: float) -> None:
    """Write (y, text, colour, bold) labels right of the axes, pushed apart so that none covers another.

    `points` is the height of the axes.
    """
    low, high = axes.get_ylim()
    gap = 10.5 / points * (high - low)
    ordered = sorted(labels, key=lambda label: label[0])
    places = spread([min(max(y, low), high) for y, _, _, _ in ordered], gap)
    for place, (_, text, tint, bold) in zip(places, ordered, strict=True):
        axes.annotate(
            text,
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=tint,
            fontweight="bold" if bold else "normal",
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved as little as needed to be `gap` apart; crowded ones keep their middle."""
    groups: list[tuple[float, int]] = []
    for place in places:
        groups.append((place, 1))
        while len(groups) > 1:
            (before, many), (centre, few) = groups[-2:]
            if centre - before >= gap * (many + few) / 2:
                break
            groups[-2:] = [((before * many + centre * few) / (many + few), many + few)]
    return [centre + gap * (k - (size - 1) / 2) for centre, size in groups for k in range(size)]


def shortened(text: str, room: int) -> str:
    """Text cut to `room` letters with an ellipsis; nothing at all where not even three fit."""
    if len(text) <= room:
        return text
    return text[: room - 1] + "…" if room >= 3 else ""
