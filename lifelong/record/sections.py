"""The sections of a report that hold figures, each with a note that says how to read it.

To be called inside `drawing()`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lifelong.events import ExpertSpawned, SubspaceGrown, TaskScored
from lifelong.record import html
from lifelong.record.curves import comparison_figure, prequential_figure, score_figure
from lifelong.record.heatmap import heatmap_figure
from lifelong.record.inside import detector_figure, finite_threshold, rank_figure
from lifelong.record.marks import ALARMS
from lifelong.record.measures import detects
from lifelong.record.palette import ALARM, INK, REFERENCE, VARIABLES
from lifelong.record.runs import RecordedRun
from lifelong.record.svg import to_svg
from lifelong.record.tables import matrix_table


def score_section(run: RecordedRun, naive: RecordedRun | None, name: str, title: str) -> str:
    """Every task's score over the stream; `name` is unique in the page."""
    if not run.trace.all(TaskScored):
        return html.section(title, "Nothing was judged yet.", "")
    svg = to_svg(score_figure(run, naive), name, f"Score on each task over the stream, {run.summary.agent}")
    note = (
        "The strip on top is the truth, which the learner does not see. A panel is tinted while its own "
        "task is taught; what happens to its line elsewhere is transfer or forgetting."
    )
    if detects(run.summary):
        note += f" {ALARMS}."
    if len(run.trace.all(ExpertSpawned)) > 1:
        note += " +1: expert 1 is spawned, ↺0: expert 0 takes over again."
    key = html.legend([(_css(REFERENCE), f"{naive.summary.agent}, for comparison")]) if naive else ""
    return html.section(title, note, key + html.figure(svg))


def mean_section(runs: Sequence[RecordedRun], names: Sequence[str]) -> str:
    """The mean score of several runs over the stream."""
    svg = to_svg(comparison_figure(runs, names), "mean", "Mean score over the tasks seen, run by run")
    note = (
        "Each point is the mean over all tasks met until then: it dips where a new task joins, and stays down where "
        "old ones are forgotten."
    )
    return html.section("Mean score over the tasks seen so far", note, html.figure(svg))


def matrix_section(run: RecordedRun) -> str:
    """The score matrix as a heat map and as a table."""
    if not run.trace.all(TaskScored):
        return html.section("Score matrix", "Nothing was judged yet.", "")
    svg = to_svg(heatmap_figure(run.matrix, run.summary.percent), "matrix", "Score matrix as a heat map")
    unit = _unit(run)
    note = (
        f"Down: after which segment. Across: judged on which task, {unit}. A frame marks the task just "
        "taught; read a column downwards from its frame to see what was kept."
    )
    table = html.folded("As a table", matrix_table(run))
    return html.section("Score matrix", note, html.figure(svg, own_width=True) + table)


def prequential_section(run: RecordedRun, naive: RecordedRun | None) -> str:
    """The score on new samples before learning from them; of worlds, the return of episodes while learning."""
    if not len(run.trace.steps):
        return html.section("Score on new samples", "Nothing was learned yet.", "")
    sections = []
    if not run.trace.in_worlds().all():
        svg = to_svg(prequential_figure(run, naive), "prequential", "Prequential score over the stream")
        note = (
            "Each new sample is answered before it is learned from (prequential score), averaged over short stretches."
        )
        sections.append(html.section("Score on new samples", note, html.figure(svg)))
    if run.summary.return_while_learning is not None:
        figure = prequential_figure(run, naive, in_worlds=True)
        svg = to_svg(figure, "returns", "Return of episodes while learning over the stream")
        note = (
            "Mean return of the episodes that ended while the learner was learning, averaged over short stretches: as "
            "it is, exploration included, and not in per cent of anything."
        )
        sections.append(html.section("Return of episodes while learning", note, html.figure(svg)))
    return "".join(sections)


def detector_section(run: RecordedRun) -> str:
    """The detector's statistic and the active expert."""
    if not detects(run.summary):
        return html.section("Shifts and experts", "This learner has no shift detector.", "")
    if not len(run.trace.steps):
        return html.section("Shifts and experts", "Nothing was learned yet.", "")
    svg = to_svg(detector_figure(run), "detector", "Shift detector and active expert over the stream")
    bounded = finite_threshold(run) is not None
    key = html.legend([(_css(INK), "statistic"), *([(_css(ALARM), "threshold")] if bounded else [])])
    note = (
        ("Above the threshold" if bounded else "By other signs than this one")
        + f" the learner takes the world for changed: {ALARMS}. Below: which expert learned when, in the colour of the "
        "true task; one colour to an expert is right."
    )
    return html.section("Shifts and experts", note, key + html.figure(svg))


def rank_section(run: RecordedRun, name: str = "rank") -> str:
    """The protected directions of each layer; nothing where the learner protects none. `name` is unique in the page."""
    if not run.trace.all(SubspaceGrown):
        return ""
    svg = to_svg(rank_figure(run), name, "Protected directions of each layer over the stream")
    note = (
        "Share of each layer's input directions that later updates may not touch, and at the right how "
        "many they are; what is left is room to learn."
    )
    return html.section("Protected directions", note, html.figure(svg))


def _unit(run: RecordedRun) -> str:
    metrics = {task.metric for task in run.trace.started.tasks}
    if not run.summary.percent:
        return f"in {run.summary.metric}, higher is better (the darkest cell of a column is its best)"
    if "normalised_return" not in metrics:
        return "in per cent"
    way = "of the way from a random policy's return to that of an expert in this task alone"
    return f"in per cent {way}" if len(metrics) == 1 else f"in per cent; of worlds to act in, {way}"


def _css(colour: str) -> str:
    return f"var({VARIABLES[colour]})"
