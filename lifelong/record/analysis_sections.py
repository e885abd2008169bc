"""The sections of an analysis, each with a note that says how to read it. To be called inside `drawing()`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifelong.evaluation.analysis.capacity import capacity_of, held_share
from lifelong.evaluation.analysis.pairs import Transfers, override_of, pairs_needed
from lifelong.evaluation.analysis.plasticity import Trend, lessons_of, trend_of
from lifelong.evaluation.analysis.probe import probes_of
from lifelong.evaluation.analysis.settings import Level
from lifelong.evaluation.analysis.similarity import Dropped, correlation
from lifelong.evaluation.analysis.stability_gap import stability_of
from lifelong.evaluation.numbers import NONE, change, count, fixed, score
from lifelong.events import SubspaceGrown
from lifelong.record import html
from lifelong.record.analysis_figures import (
    gap_figure,
    pairs_figure,
    plasticity_figure,
    setting_figure,
    similarity_figure,
)
from lifelong.record.palette import VARIABLES, colour
from lifelong.record.probe_figure import probe_figure
from lifelong.record.runs import RecordedRun
from lifelong.record.sections import rank_section
from lifelong.record.svg import to_svg


def plasticity_section(
    runs: Sequence[RecordedRun], names: Sequence[str], references: Sequence[RecordedRun], grey: Sequence[str]
) -> str:
    """How well and how fast each new task was learned. references: a run for each of `runs`, or none; `grey`: names."""
    lessons = [lessons_of(run.trace) for run in [*runs, *references]]
    if not any(lessons):
        return html.section("Plasticity", "No task was taught to its end yet.", "")
    percent = runs[0].summary.percent
    svg = to_svg(plasticity_figure(lessons, [*names, *grey], len(runs), percent), "plasticity", "Learning of new tasks")
    rows = [_trend(name, trend_of(mine), percent) for name, mine in zip([*names, *grey], lessons, strict=True)]
    for place in range(len(references)):
        against = trend_of(lessons[place], lessons[len(runs) + place])
        rows.append(_trend(f"{names[place]} minus {grey[place]}", against, percent))
    note = (
        "Each task's first visit. Above: its test score at the visit's end. Below: experiences until the score on new "
        "samples, averaged over ten, reached 90 % of where it ended. Slopes are from one new task to the next: scores "
        "that fall and times that rise say that plasticity is lost. Tasks may differ in difficulty: differences from a "
        "reference take that out."
    )
    head = ["slope from task to task", "score when taught", "mean score while taught", "experiences to 90 %"]
    return html.section("Plasticity", note, html.figure(svg) + html.table(head, rows))


def stability_section(run: RecordedRun, name: str, place: int) -> str:
    """What old tasks lost at their worst moment."""
    found, percent = stability_of(run.trace), run.summary.percent
    title = f"Stability gap: {name}"
    if not found.gaps:
        return html.section(title, "No task was judged before, within and after another one's visit.", "")
    svg = to_svg(gap_figure(found.gaps, run.matrix.tasks, percent), f"gap{place}", "Old tasks at their worst moment")
    note = (
        f"Found in {count(found.looks)} looks; more looks find lower minima (evaluation.within). From the bar (before) "
        "down to the lowest score while another task was taught; the dot is where it ended."
    )
    rows = [
        ["worst-case accuracy (WC-ACC)", score(found.wc_acc, percent)],
        ["average minimum of old tasks (min-ACC)", score(found.min_acc, percent)],
        ["mean depth of a gap", change(None if found.depth is None else -found.depth, percent)],
        ["of it back at the visit's end", change(found.recovered, percent)],
        ["ACC, which sees the end alone", score(run.summary.acc, percent)],
    ]
    return html.section(title, note, html.figure(svg) + html.table(["", "value"], rows))


def capacity_section(run: RecordedRun, name: str, place: int) -> str:
    """Protected directions; nothing where the learner protects none."""
    if not run.trace.all(SubspaceGrown):
        return ""
    used = capacity_of(run.trace)
    head = ["layer", "directions", *(f"after {k}" for k in range(1, 1 + len(used[0].shares)))]
    rows = [
        [f"{one.layer} (expert {one.expert})", count(one.size), *(score(share, True) for share in one.shares)]
        for one in used
    ]
    held = held_share(run.trace)
    note = f"Share of each layer's input directions that is taken after each segment: {name}." + (
        "" if held is None else f" In the end {score(held, True)} of the shared numbers may not move any more."
    )
    return rank_section(run, f"rank{place}") + html.section("Room to learn", note, html.table(head, rows))


def probe_section(run: RecordedRun, name: str, place: int) -> str:
    """Tasks that are judged and never taught; nothing where there are none."""
    probes, percent = probes_of(run.trace), run.summary.percent
    if not probes:
        return ""
    svg = to_svg(probe_figure(run, probes), f"probe{place}", "Scores on tasks that were never taught")
    rows = [
        [one.task, score(one.scores[0], percent), score(one.scores[-1], percent), change(one.gained, percent)]
        for one in probes
    ]
    note = (
        "Held-out tasks that are judged and never taught: what the others did for general ability. None of them counts "
        "in ACC or BWT."
    )
    table = html.table(["probe", "untrained", "at the end", "gained"], rows)
    return html.section(f"Probe: {name}", note, html.figure(svg) + table)


def transfer_section(found: Transfers, percent: bool) -> str:
    """Transfer between pairs of tasks, both ways."""
    there = [(found.tasks[x], found.tasks[y]) for x, y in np.argwhere(np.isfinite(found.backward))]
    missing = pairs_needed(found.tasks, there)
    unit = ", in points" if percent else ""
    parts = [
        ("What the row's task, taught before, is worth to the column's", found.forward, "forward"),
        ("What the column's task, taught after, does to the row's", found.backward, "backward"),
    ]
    body = "".join(
        f"<h3>{title}{unit}</h3>" + html.figure(to_svg(pairs_figure(values, found.tasks, percent), name, title), True)
        for title, values, name in parts
    )
    note = (
        "From runs over pairs of tasks. Forward: score of the second task after both, minus that of the same task "
        "taught first, after equally many experiences. Backward: score of the first after both, minus that before the "
        "second."
    )
    if missing:
        wanted = "; ".join(override_of(pair) for pair in missing[:12])
        note += f" Still to be run ({len(missing)}): {wanted}{' ...' if len(missing) > 12 else ''}."
    return html.section("Transfer between tasks", note, body)


def similarity_section(drops: Sequence[Dropped], measure: str, name: str, place: int, percent: bool) -> str:
    """Forgetting against the similarity of tasks."""
    title = f"Forgetting and similarity: {name}"
    if not drops:
        return html.section(title, "No earlier task can be compared with a later one.", "")
    svg = to_svg(similarity_figure(drops, percent), f"similarity{place}", "Forgetting against similarity")
    rho = correlation(drops)
    told = "is not defined here" if rho is None else f"is {fixed(rho, 2)} over {len(drops)} pairs"
    note = (
        f"A point is an earlier task over a later one's segment: what it lost, against how alike the two are "
        f"({measure}). Spearman's rank correlation {told}."
    )
    later = list(dict.fromkeys(one.later for one in drops))
    key = html.legend([(f"var({VARIABLES[colour(k)]})", f"while {task} is taught") for k, task in enumerate(later)])
    return html.section(title, note, key + html.figure(svg))


def setting_section(levels: Sequence[Level], setting: str, metric: str, place: str, percent: bool) -> str:
    """A metric by the values of one setting."""
    svg = to_svg(setting_figure(levels, setting, metric, percent), f"setting-{place}", f"{metric} by {setting}")
    rows = [
        [
            level.value,
            score(level.mean, percent),
            NONE if level.spread is None else score(level.spread, percent),
            count(level.count),
        ]
        for level in levels
    ]
    note = "Mean over runs, with one sample standard deviation to both sides."
    table = html.folded("As a table", html.table([setting, "mean", "standard deviation", "runs"], rows))
    return html.section(f"{metric} by {setting}", note, html.figure(svg) + table)


def _trend(name: str, trend: Trend, percent: bool) -> list[str]:
    speed = NONE if trend.speed is None else f"{trend.speed:+.1f}".replace("-", "−")
    return [name, change(trend.final, percent), change(trend.area, percent), speed]
