"""report.html: one run, or several side by side, on one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lifelong.evaluation.summary import Summary
from lifelong.events import SubspaceGrown
from lifelong.record import html
from lifelong.record.curves import comparison_figure, prequential_figure, score_figure
from lifelong.record.heatmap import heatmap_figure
from lifelong.record.inside import detector_figure, rank_figure
from lifelong.record.measures import MEASURES, NONE, best, count, detects, duration, names_of, verdict
from lifelong.record.palette import ALARM, INK, REFERENCE, VARIABLES
from lifelong.record.runs import RecordedRun, read_run
from lifelong.record.svg import drawing, to_svg
from lifelong.record.tables import config_section, matrix_table, notes_table


def write_report(folders: Path | Sequence[Path], out: Path, naive: Path | None = None) -> None:
    """Write a report of one run, or a comparison of several, as a single HTML file.

    `naive` is the folder of a reference run of the same stream, drawn in grey. The same folders give the
    same bytes. Raises FileNotFoundError for a folder without a run, ValueError for a damaged record or no
    folder at all.
    """
    paths = [folders] if isinstance(folders, Path) else list(folders)
    if not paths:
        raise ValueError("There is no run to report on: give at least one run folder.")
    if len(paths) > 1:
        compare_report(paths, out, naive)
        return
    run = read_run(paths[0])
    reference = read_run(naive) if naive else None
    summary = run.summary
    body = html.header(f"{summary.agent} on {summary.stream}", _facts(run), verdict(_both(run, reference)))
    body += _unfinished(summary)
    body += html.tiles([_tile(place, run, reference) for place in range(len(MEASURES))])
    with drawing():
        body += _scores(run, reference, "scores") + _matrix(run) + _prequential(run, reference) + _inside(run)
    body += html.section(
        "What happened, in order",
        "Everything that the learner decided, from its own record.",
        notes_table(run),
    )
    body += config_section(run)
    out.write_text(html.page(f"{summary.agent} on {summary.stream}", body), encoding="utf-8")


def compare_report(folders: Sequence[Path], out: Path, naive: Path | None = None) -> None:
    """Write a page with several runs side by side: their numbers, their mean scores, each run's forgetting curves.

    Raises what `write_report` raises.
    """
    runs = [read_run(folder) for folder in folders]
    reference = read_run(naive) if naive else None
    summaries = [run.summary for run in runs]
    names = names_of(summaries)
    streams = list(dict.fromkeys(summary.stream for summary in summaries))
    title = f"{len(runs)} runs on {', '.join(streams)}"
    body = html.header(title, [("runs", ", ".join(names))], verdict(summaries))
    body += "".join(_unfinished(summary) for summary in summaries)
    body += html.section("Numbers", _COMPARED, _numbers(summaries, names))
    with drawing():
        figure = to_svg(comparison_figure(runs, names), "mean", "Mean score over the tasks seen, run by run")
        body += html.section(
            "Mean score over the tasks seen so far",
            "Each point is the mean over all tasks met until then. A line that sinks when a task changes has forgotten.",
            html.figure(figure),
        )
        for place, (run, name) in enumerate(zip(runs, names, strict=True)):
            body += _scores(run, reference, f"scores{place}", f"{name}: each task over time")
    for run, name in zip(runs, names, strict=True):
        body += config_section(run, name)
    out.write_text(html.page(title, body), encoding="utf-8")


_COMPARED = (
    "The best of each row is bold; arrows point where better lies. pt: percentage points. "
    "* marks a learner that is told which task it is in."
)


def _both(run: RecordedRun, reference: RecordedRun | None) -> list[Summary]:
    return [run.summary, *([reference.summary] if reference else [])]


def _facts(run: RecordedRun) -> list[tuple[str, str]]:
    summary = run.summary
    return [
        ("seed", str(summary.seed)),
        ("device", summary.device),
        ("metric", summary.metric),
        ("tasks", f"{len(run.matrix.tasks)} in {len(run.trace.started.segments)} segments"),
        ("experiences", count(summary.steps)),
        ("task labels", "shown to the learner" if summary.labels_shown else "hidden from the learner"),
        *([("time", duration(summary.wall_seconds))] if summary.wall_seconds else []),
    ]


def _unfinished(summary: Summary) -> str:
    if summary.finished:
        return ""
    return html.warning(
        f"{summary.agent} did not finish: all numbers are as far as its record goes, step {count(summary.steps)}."
    )


def _tile(place: int, run: RecordedRun, reference: RecordedRun | None) -> str:
    measure = MEASURES[place]
    other = measure.write(reference.summary) if reference else NONE
    beside = f"{reference.summary.agent}: {other}" if reference and other != NONE else ""
    return html.tile(measure.title, measure.write(run.summary), measure.meaning, beside)


def _numbers(summaries: Sequence[Summary], names: Sequence[str]) -> str:
    shown = [m for m in MEASURES if any(m.write(summary) != NONE for summary in summaries)]
    heads = [f"{name} *" if s.labels_shown else name for name, s in zip(names, summaries, strict=True)]
    rows = [[measure.title, *(measure.write(summary) for summary in summaries)] for measure in shown]
    stressed = [{place + 1 for place in best(measure, summaries)} for measure in shown]
    return html.table(["", *heads], rows, stressed)


def _scores(
    run: RecordedRun, reference: RecordedRun | None, name: str, title: str = "Each task over time"
) -> str:
    svg = to_svg(
        score_figure(run, reference), name, f"Score on each task over the stream, {run.summary.agent}"
    )
    keys = [(f"var({VARIABLES[REFERENCE]})", reference.summary.agent)] if reference else []
    marks = "▼ a shift rightly found, ▽ a false alarm; +1 expert 1 is spawned, ↺0 expert 0 takes over again. "
    note = (
        "The strip on top is the truth, which the learner does not see. A panel is tinted while its own task is taught; "
        "what happens to the line elsewhere is transfer or forgetting. "
        + (marks if detects(run.summary) else "")
    )
    return html.section(title, note, (html.legend(keys) if keys else "") + html.figure(svg))


def _matrix(run: RecordedRun) -> str:
    figure = to_svg(heatmap_figure(run.matrix, run.summary.percent), "matrix", "Score matrix as a heat map")
    unit = "in per cent" if run.summary.percent else f"in {run.summary.metric}, higher is better"
    note = (
        f"Down: after which segment. Across: judged on which task, {unit}. The frame marks the task just taught; "
        "read a column downwards from its frame to see what was kept."
    )
    return html.section(
        "Score matrix",
        note,
        html.figure(figure, own_width=True) + html.folded("As a table", matrix_table(run)),
    )


def _prequential(run: RecordedRun, reference: RecordedRun | None) -> str:
    if not len(run.trace.steps):
        return html.section("Score on new samples", "Nothing was learned yet.", "")
    figure = to_svg(prequential_figure(run, reference), "prequential", "Prequential score over the stream")
    note = "Each new sample is answered before it is learned from (prequential score), averaged over short stretches."
    return html.section("Score on new samples", note, html.figure(figure))


def _inside(run: RecordedRun) -> str:
    parts = []
    if detects(run.summary):
        figure = to_svg(detector_figure(run), "detector", "Shift detector and active expert over the stream")
        keys = [(f"var({VARIABLES[INK]})", "statistic"), (f"var({VARIABLES[ALARM]})", "threshold")]
        note = (
            "Above the threshold the learner takes the world for changed: ▼ rightly, ▽ in red a false alarm, ▽ in grey "
            "an alarm that it dismissed itself. Below: which expert learned, coloured by the true task; one colour to "
            "an expert is right."
        )
        parts.append(html.section("Shifts and experts", note, html.legend(keys) + html.figure(figure)))
    else:
        parts.append(html.section("Shifts and experts", "This learner has no shift detector.", ""))
    if run.trace.all(SubspaceGrown):
        figure = to_svg(rank_figure(run), "rank", "Protected directions of each layer over the stream")
        note = "Share of each layer's input directions that later updates may not touch; what is left is room to learn."
        parts.append(html.section("Protected directions", note, html.figure(figure)))
    return "".join(parts)
