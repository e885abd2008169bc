"""What figures over time share: bands of the true tasks, shift and spawn marks, labels that keep clear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lifelong.evaluation.shifts import shifts_of
from lifelong.events import ExpertSpawned, ShiftDismissed
from lifelong.record.palette import ALARM, INK, MUTED, colour
from lifelong.record.runs import RecordedRun
from lifelong.record.takeovers import takeovers_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALARMS = "▼ a shift rightly found, ▽ in red a false alarm, ▽ in grey an alarm that the learner dismissed itself"

ABOVE, ROWS = 0.8, (0.42, 0.1)
"""Heights in the lane of marks: of the triangles, and below them of the two rows of labels."""


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


def shift_lane(axes: Axes, run: RecordedRun) -> None:
    """A lane of marks: shifts rightly found, false alarms, alarms that were dismissed, experts spawned and reused."""
    axes.set_ylim(0, 1)
    axes.set_axis_off()
    alarms(axes, run, ABOVE)
    spawned = [(step, f"+{event.expert}") for step, event in run.trace.all(ExpertSpawned)]
    again = [(step, f"↺{expert}") for step, expert in takeovers_of(run.trace)]
    ends = [-math.inf, -math.inf]
    for step, text in sorted(spawned + again):
        # Where one would cover the one before it, they stand in two rows.
        row = 0 if step >= ends[0] or ends[0] <= ends[1] else 1
        ends[row] = step + _width(axes, text)
        axes.text(step, ROWS[row], text, ha="center", va="center", size=7.5, color=MUTED)


def _width(axes: Axes, text: str) -> float:
    """Steps that a small label takes up, roundly."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    points = 72 * axes.get_position().width * float(figure.get_size_inches()[0])
    low, high = axes.get_xlim()
    return (3 + 5 * len(text)) / points * (high - low)


def alarms(axes: Axes, run: RecordedRun, height: float) -> None:
    """Triangles that point down at alarms: full ones at shifts rightly found, open ones at others (see `ALARMS`)."""
    shifts = shifts_of(run.trace)
    dismissed = [step for step, _ in run.trace.all(ShiftDismissed)]
    for steps, edge, face in (
        (shifts.hit_steps, INK, INK),
        (shifts.false_steps, ALARM, "none"),
        (dismissed, MUTED, "none"),
    ):
        axes.plot(
            steps, [height] * len(steps), "v", markeredgecolor=edge, markerfacecolor=face, markersize=5.5, clip_on=False
        )


def end_labels(axes: Axes, labels: Sequence[tuple[float, str, str, bool]]) -> None:
    """Write (y, text, colour, bold) labels right of the axes, pushed apart so that none covers another."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    points = 72 * axes.get_position().height * figure.get_size_inches()[1]
    low, high = axes.get_ylim()
    gap = 10.5 / points * (high - low)
    ordered = sorted(labels, key=lambda label: label[0])
    places = spread([y for y, _, _, _ in ordered], gap, low, high)
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


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending places moved as little as needed to be `gap` apart and, if there is room, within low..high."""
    groups: list[tuple[float, int]] = []
    for place in places:
        groups.append((_inside(place, 1, gap, low, high), 1))
        while len(groups) > 1:
            (before, many), (centre, few) = groups[-2:]
            size = many + few
            if centre - before >= gap * size / 2 - 1e-9 * gap:
                break
            groups[-2:] = [(_inside((before * many + centre * few) / size, size, gap, low, high), size)]
    return [centre + gap * (k - (size - 1) / 2) for centre, size in groups for k in range(size)]


def _inside(centre: float, size: int, gap: float, low: float, high: float) -> float:
    """The centre of a group of `size` labels, moved so that none lies outside low..high."""
    half = gap * (size - 1) / 2
    return (low + high) / 2 if 2 * half > high - low else min(max(centre, low + half), high - half)


def shortened(text: str, room: int) -> str:
    """Text cut to `room` letters with an ellipsis; nothing at all where not even five fit."""
    if len(text) <= room:
        return text
    return text[: room - 1] + "…" if room >= 5 else ""
