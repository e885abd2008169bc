"""report.html: one run, or several side by side, on one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lifelong.evaluation.alone import Alone
from lifelong.evaluation.numbers import NONE, count, duration
from lifelong.evaluation.summary import Summary
from lifelong.record import html
from lifelong.record.doubts import doubted
from lifelong.record.families import families_comparison, families_section
from lifelong.record.measures import MEASURES, Measure, best, counted, names_of, verdict
from lifelong.record.runs import RecordedRun, read_run
from lifelong.record.sections import (
    detector_section,
    matrix_section,
    mean_section,
    prequential_section,
    rank_section,
    score_section,
)
from lifelong.record.svg import drawing
from lifelong.record.tables import config_section, held_section, notes_section
from lifelong.record.worlds import worlds_section


def write_report(
    folders: Path | Sequence[Path], out: Path, naive: Path | None = None, alone: Sequence[Alone] = ()
) -> None:
    """Write a report of one run, or a comparison of several, as a single HTML file.

    `naive` is the folder of a reference run of the same stream, drawn in grey. `alone`: what learners came to that
    had one of the tasks to themselves, for the report of one run. The same folders give the same bytes. Raises
    FileNotFoundError for a folder without a run, ValueError for a damaged record or no folder at all.
    """
    paths = [folders] if isinstance(folders, Path) else list(folders)
    if not paths:
        raise ValueError("There is no run to report on: give at least one run folder.")
    if len(paths) > 1:
        compare_report(paths, out, naive)
        return
    run = read_run(paths[0])
    reference = read_run(naive) if naive else None
    title = f"{run.summary.agent} on {run.summary.stream}"
    both = [run.summary, *([reference.summary] if reference else [])]
    with drawing():
        body = [
            html.header(title, _facts(run), verdict(both)),
            _unfinished(run.summary),
            *map(html.warning, doubted({run.summary.agent: [run.summary]})),
            html.tiles([_tile(measure, run, reference) for measure in _headline(run.summary)]),
            score_section(run, reference, "scores", "Each task over time"),
            matrix_section(run),
            families_section(run, alone),
            worlds_section(run),
            prequential_section(run, reference),
            detector_section(run),
            rank_section(run),
            held_section(run),
            notes_section(run),
            config_section(run),
        ]
    out.write_text(html.page(title, "".join(body)), encoding="utf-8")


def compare_report(folders: Sequence[Path], out: Path, naive: Path | None = None) -> None:
    """Write a page with several runs side by side: numbers, mean scores, each run's forgetting curves.

    Raises what `write_report` raises.
    """
    runs = [read_run(folder) for folder in folders]
    reference = read_run(naive) if naive else None
    summaries = [run.summary for run in runs]
    names = names_of(summaries)
    title = f"{len(runs)} runs on {', '.join(dict.fromkeys(summary.stream for summary in summaries))}"
    named = list(zip(runs, names, strict=True))
    note = (
        "The best of each row is bold; arrows point where better lies. pt: percentage points. "
        "* is told which task it is in; the others are not."
    )
    with drawing():
        body = [
            html.header(title, [("runs", ", ".join(names))], verdict(summaries)),
            *(_unfinished(summary) for summary in summaries),
            *map(html.warning, doubted({name: [summary] for name, summary in zip(names, summaries, strict=True)})),
            html.section("Numbers", note, _numbers(summaries, names)),
            families_comparison(runs, names),
            mean_section(runs, names),
            *(
                score_section(run, reference, f"scores{place}", f"{name}: each task over time")
                for place, (run, name) in enumerate(named)
            ),
            *(config_section(run, name) for run, name in named),
        ]
    out.write_text(html.page(title, "".join(body)), encoding="utf-8")


def _facts(run: RecordedRun) -> list[tuple[str, str]]:
    summary = run.summary
    each, known = counted(summary), summary.truth_known
    return [
        ("seed", str(summary.seed)),
        ("device", summary.device),
        ("metric", summary.metric.replace("_", " ")),
        *([("tasks", f"{len(run.matrix.tasks)} in {len(run.trace.started.segments)} segments")] if known else []),
        ("experiences", count(summary.steps) + (f" (each {each})" if each else "")),
        *([("environment steps", count(summary.env_steps))] if summary.env_steps else []),
        ("task labels", "shown to the learner" if summary.labels_shown else "hidden from the learner"),
        *([("time", duration(summary.wall_seconds))] if summary.wall_seconds else []),
    ]


def _headline(summary: Summary) -> list[Measure]:
    return [measure for measure in MEASURES if measure.name != "Time" and measure.applies(summary)]


def _unfinished(summary: Summary) -> str:
    if summary.finished:
        return ""
    steps = count(summary.steps)
    return html.warning(f"{summary.agent} did not finish: its numbers are as of step {steps}, where its record ends.")


def _tile(measure: Measure, run: RecordedRun, reference: RecordedRun | None) -> str:
    other = measure.write(reference.summary) if reference else NONE
    # What stands in brackets says the same in another unit: it is not as large as the number itself.
    value, _, unit = measure.write(run.summary).removesuffix(")").partition(" (")
    beside = [unit] if unit else []
    if reference and other != NONE:
        beside.append(f"{reference.summary.agent}: {other}")
    return html.tile(measure.title, value, measure.meaning, "; ".join(beside))


def _numbers(summaries: Sequence[Summary], names: Sequence[str]) -> str:
    shown = [m for m in MEASURES if any(m.write(summary) != NONE for summary in summaries)]
    heads = [f"{name} *" if s.labels_shown else name for name, s in zip(names, summaries, strict=True)]
    rows = [[measure.title, *(measure.write(summary) for summary in summaries)] for measure in shown]
    stressed = [{place + 1 for place in best(measure, summaries)} for measure in shown]
    return html.table(["", *heads], rows, stressed)
