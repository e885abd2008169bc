"""The figures of an analysis whose axis is not time: tasks in their order, pairs of tasks, settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.analysis.plasticity import Lesson
from lifelong.evaluation.analysis.settings import Level
from lifelong.evaluation.analysis.similarity import Dropped
from lifelong.evaluation.analysis.stability_gap import Gap
from lifelong.evaluation.numbers import change, count, score
from lifelong.record.marks import end_labels, shortened
from lifelong.record.palette import GRID, INK, MUTED, REFERENCE, colour, dash
from lifelong.record.stage import WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS_TO_GAIN = ("#b2521a", "#f0b48a", "#fbfbf8", "#8fc1e3", "#1f6fa8")
"""For differences: orange below zero, white at it, blue above."""
MOST_NAMES = 12
"""Tasks whose names have room below an axis, and runs that have room beside it; more are numbered, or not named."""
MOST_GAPS = 45
"""Lines that can still be told apart in the figure of gaps."""


def plasticity_figure(lessons: Sequence[Sequence[Lesson]], names: Sequence[str], grey: int, percent: bool) -> Figure:
    """Final score and fit speed over the order of new tasks, a line a run; from place `grey` on they are references.

    Lines are named at their ends, as long as there is room for that.
    """
    figure, (above, below) = _panels([1.35, 1.35], ["Score when taught", "Experiences to 90 % of it"])
    for axes, name in ((above, "final"), (below, "speed")):
        labels = []
        for place, (run, who) in enumerate(zip(lessons, names, strict=True)):
            values = [(k + 1, getattr(lesson, name)) for k, lesson in enumerate(run)]
            known = [(k, value) for k, value in values if value is not None]
            if not known:
                continue
            tint = REFERENCE if place >= grey else colour(place)
            front = 2 if place < grey else 1.5
            axes.plot(*zip(*known, strict=True), "o", linestyle=dash(place), color=tint, markersize=4, zorder=front)
            last = float(known[-1][1])
            value = score(last, percent) if name == "final" else count(round(last))
            labels.append((last, f"{shortened(who, 18)} {value}", tint, place < grey))
        _room(axes)
        if len(names) <= MOST_NAMES:
            end_labels(axes, labels)
    _percent(above, percent)
    orders = {tuple(lesson.task for lesson in run) for run in lessons if run}
    # Runs whose tasks come in other orders have places in common, and no names.
    order, what = (
        (orders.pop(), "new tasks in order")
        if len(orders) == 1
        else ([str(k + 1) for k in range(max(map(len, lessons)))], "place in the order of new tasks")
    )
    _tasks(above, order, "")
    _tasks(below, order, what)
    return figure


def gap_figure(gaps: Sequence[Gap], tasks: Sequence[str], percent: bool) -> Figure:
    """For each visit, every old task: a line from its score before down to its lowest, and a dot where it ended.

    Where there are too many to be told apart, the mean over the old tasks.
    """
    starts = list(dict.fromkeys(gap.start for gap in gaps))
    crowded = len(gaps) > MOST_GAPS
    named = f"{'Mean over old' if crowded else 'Old'} tasks while another one is taught"
    figure, (axes,) = _panels([2.2], [named])
    during = {gap.start: gap.during for gap in gaps}
    labels: dict[str, tuple[float, str, str, bool]] = {}
    for slot, start in enumerate(starts, start=1):
        here = [gap for gap in gaps if gap.start == start]
        here = [_mean_gap(here)] if crowded else here
        for place, gap in enumerate(here):
            x = slot + 0.7 * ((place + 0.5) / len(here) - 0.5)
            tint = INK if crowded else colour(tasks.index(gap.task))
            axes.plot([x, x], [gap.before, gap.lowest], color=tint, linewidth=2)
            axes.plot(x, gap.before, "_", color=tint, markersize=8, markeredgewidth=2)
            axes.plot(x, gap.after, "o", color=tint, markersize=4.5)
            labels[gap.task] = (gap.after, shortened(gap.task, 20), tint, False)
    _room(axes)
    _percent(axes, percent)
    end_labels(axes, list(labels.values()))
    _tasks(axes, [during[start] for start in starts], "task that is taught")
    return figure


def _mean_gap(gaps: Sequence[Gap]) -> Gap:
    before, lowest, after = (
        sum(getattr(gap, name) for gap in gaps) / len(gaps) for name in ("before", "lowest", "after")
    )
    return Gap("mean", gaps[0].during, gaps[0].start, before, lowest, after)


def pairs_figure(values: NDArray[np.float64], tasks: Sequence[str], percent: bool) -> Figure:
    """Differences between tasks: row first, column second; orange is loss, blue is gain."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    number, cell = len(tasks), min(0.85, 5.6 / len(tasks))
    names = [shortened(task, 16) for task in tasks]
    left = 0.075 * max(map(len, names)) + 0.25
    slanted = 0.075 * max(map(len, names)) > cell
    top = 0.72 if slanted else 0.34
    width, height = left + cell * number + (0.7 if slanted else 0.15), top + cell * 0.6 * number + 0.1
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, 0.1 / height, cell * number / width, cell * 0.6 * number / height))
    bound = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    colours = LinearSegmentedColormap.from_list("differences", LOSS_TO_GAIN)
    axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=colours, vmin=-bound, vmax=bound, edgecolors="#ffffff", linewidth=0.6
    )
    for (row, column), value in np.ndenumerate(values):
        if math.isfinite(value):
            tint = "#ffffff" if abs(value) > 0.75 * bound else "#22201e"
            text = change(float(value), percent).removesuffix(" pt")
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", size=7.5, color=tint)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(number) + 0.5, names)
    axes.xaxis.tick_top()
    axes.set_xticks(np.arange(number) + 0.5, names)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=28, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=MUTED, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def similarity_figure(drops: Sequence[Dropped], percent: bool) -> Figure:
    """What an earlier task lost over a later one's segment, against how alike the two are."""
    figure, (axes,) = _panels([2.4], ["Lost by the earlier task"], right=0.97)
    later = list(dict.fromkeys(one.later for one in drops))
    for place, task in enumerate(later):
        mine = [one for one in drops if one.later == task]
        axes.plot(
            [one.similarity for one in mine], [one.drop for one in mine], "o", color=colour(place), markersize=5.5
        )
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.set_xlabel("similarity of the two tasks")
    _room(axes)
    axes.margins(x=0.05)
    _percent(axes, percent)
    return figure


def setting_figure(levels: Sequence[Level], setting: str, metric: str, percent: bool) -> Figure:
    """A metric at each value of a setting: mean, and one standard deviation to both sides."""
    figure, (axes,) = _panels([2.2], [metric], right=0.97)
    for place, level in enumerate(levels, start=1):
        axes.errorbar(
            place, level.mean, yerr=level.spread or None, fmt="o", color=colour(0), markersize=6, capsize=4,
            elinewidth=1.5,
        )  # fmt: skip
        axes.annotate(
            score(level.mean, percent), (place, level.mean), xytext=(9, 0), textcoords="offset points", va="center",
            size=8.5, color=INK,
        )  # fmt: skip
    axes.set_xlim(0.5, len(levels) + 0.5)
    room = max(4, int(0.9 * WIDTH / max(len(levels), 1) / 0.075))
    axes.set_xticks(range(1, len(levels) + 1), [shortened(level.value, room) for level in levels])
    axes.set_xlabel(setting)
    axes.margins(y=0.2)
    _percent(axes, percent)
    return figure


def _panels(heights: Sequence[float], titles: Sequence[str], right: float = 0.79) -> tuple[Figure, list[Axes]]:
    """Panels below each other, in inches; beyond `right`, a share of the width, there is room for labels."""
    from matplotlib.figure import Figure

    total = sum(height + 0.34 for height in heights) + 0.5
    figure, top, panels = Figure(figsize=(WIDTH, total)), total, []
    for height, text in zip(heights, titles, strict=True):
        top -= height + 0.34
        axes = figure.add_axes((0.065, top / total, right - 0.065, height / total))
        axes.grid(axis="y", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        axes.spines["left"].set_visible(False)
        axes.set_title(text, loc="left", color=INK, fontweight="bold", pad=4)
        panels.append(axes)
    return figure, panels


def _tasks(axes: Axes, names: Sequence[str], what: str) -> None:
    """Tasks in their order below an axis: by name where there is room, else by number. No `what`: no text."""
    axes.set_xlim(0.5, len(names) + 0.5)
    room = int(0.7 * WIDTH / max(len(names), 1) / 0.075)
    few = len(names) <= MOST_NAMES and all(len(shortened(name, room)) for name in names)
    if few:
        axes.set_xticks(range(1, len(names) + 1), [shortened(name, room) for name in names])
    else:
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.tick_params(labelbottom=bool(what))
    axes.set_xlabel(what if few or not what else f"{what}, by number")


def _room(axes: Axes) -> None:
    axes.margins(y=0.1)
    axes.autoscale_view()


def _percent(axes: Axes, percent: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: score(value, percent).replace(".0 ", " ")))
