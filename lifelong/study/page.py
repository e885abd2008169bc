"""study.html: a whole study on one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from lifelong.config.yaml12 import dump
from lifelong.evaluation.matrix import ScoreMatrix
from lifelong.evaluation.numbers import count
from lifelong.record import html
from lifelong.record.palette import ASIDE, dash, key_of
from lifelong.record.runs import RecordedRun, read_run
from lifelong.record.svg import drawing, to_svg
from lifelong.study.columns import COSTS, DIFFERENCE, SCORES, Column, explained
from lifelong.study.figures import Curves, curves_of, mean_figure, tasks_figure
from lifelong.study.job import ERROR
from lifelong.study.results import Results, doubts_of, notes, verdict
from lifelong.study.statistics import estimate

BANDS = (
    "Lines are means over seeds; bands are 95 % intervals (bootstrap over seeds), which of few seeds reach from the "
    "least to the largest; references are dashed."
)
NBSP = "\u00a0"


def write_page(results: Results, out: Path) -> None:
    """Write the page. It is a function of the finished cells' records. Raises ValueError for a damaged one."""
    curves: dict[str, list[Curves]] = {}
    matrices: dict[str, list[ScoreMatrix]] = {}
    frame: RecordedRun | None = None
    for cell in results.plan.cells():
        label = cell.contender.label
        if cell.seed in results.finished[label]:
            # One at a time: the whole records of a large study would not fit into memory.
            run = read_run(cell.path)
            frame = run if frame is None else frame
            curves.setdefault(label, []).append(curves_of(run))
            matrices.setdefault(label, []).append(run.matrix)
    names = {row.label: row.name for row in results.table.rows}
    # In the table's order, so that an agent has one colour on the whole page.
    drawn = {names[row.label]: curves[row.label] for row in results.table.rows if row.label in curves}
    kept = {names[row.label]: matrices[row.label] for row in results.table.rows if row.label in matrices}
    added = {names[contender.label] for contender in results.plan.contenders if contender.is_reference}
    with drawing():
        body = [
            html.header(f"Study {results.plan.name}", _facts(results, frame), verdict(results)),
            *_warnings(results),
            _table(results, SCORES, "Scores", " ".join(notes(results)) + " " + explained(results.table.known(SCORES))),
            *([] if frame is None else _figures(frame, drawn, kept, added)),
            _table(results, COSTS, "Costs", explained(results.table.known(COSTS))),
            _failed(results),
            _again(results),
        ]
    out.write_text(html.page(f"Study {results.plan.name}", "".join(body), wide=True), encoding="utf-8")


def _facts(results: Results, frame: RecordedRun | None) -> list[tuple[str, str]]:
    finished = sum(map(len, results.finished.values()))
    facts = [
        ("agents", str(len(results.plan.contenders))),
        ("seeds", ", ".join(map(str, results.plan.seeds))),
        ("runs", f"{finished} finished" + (f", {len(results.failed)} failed" if results.failed else "")),
    ]
    if frame is None:
        return facts
    tasks = f"{len(frame.matrix.tasks)} in {len(frame.trace.started.segments)} segments"
    return [
        ("stream", frame.summary.stream),
        ("metric", frame.summary.metric.replace("_", " ")),
        ("tasks", tasks),
        ("experiences", count(frame.summary.steps)),
        *facts,
    ]


def _warnings(results: Results) -> list[str]:
    short = [row for row in results.table.rows if row.seeds < results.table.seeds]
    unfinished = [f"{row.label}: {row.seeds} of {results.table.seeds} seeds finished." for row in short]
    return [html.warning(text) for text in (*unfinished, *doubts_of(results))]


def _table(results: Results, columns: Sequence[Column], title: str, note: str) -> str:
    table, known = results.table, results.table.known(columns)
    if not known:
        return html.section(title, "Nothing is finished yet.", "")
    rows = [[row.name, *map(_unbroken, table.cells(row, known))] for row in table.rows]
    stressed = [{place + 1 for place in places} for places in table.best(known)]
    return html.section(title, note, html.table(["", *table.head(known)], rows, stressed))


def _figures(
    frame: RecordedRun,
    curves: Mapping[str, Sequence[Curves]],
    matrices: Mapping[str, Sequence[ScoreMatrix]],
    added: Collection[str],
) -> list[str]:
    key = html.legend(
        [(key_of(place, ASIDE if name in added else dash(place)), name) for place, name in enumerate(curves)]
    )
    strip = "" if _same_tasks(matrices) else f" Tasks differ by seed; here they are those of seed {frame.summary.seed}."
    mean = to_svg(mean_figure(frame, curves, added), "mean", "Mean score over the tasks seen, agent by agent")
    tasks = to_svg(tasks_figure(frame, curves, added), "tasks", "Score on each task over the stream, agent by agent")
    return [
        html.section(
            "Mean score over the tasks seen so far",
            f"{BANDS} A line dips where a new task joins, and stays down where old ones are forgotten.{strip}",
            html.figure(mean),
        ),
        html.section(
            "Each task over time",
            f"{BANDS} A panel is grey while its own task is taught; what happens elsewhere is transfer or "
            f"forgetting.{strip}",
            key + html.figure(tasks),
        ),
        _forgotten(matrices),
    ]


def _forgotten(matrices: Mapping[str, Sequence[ScoreMatrix]]) -> str:
    """What became of each task between its best and the end, agent by agent."""
    first = next(iter(matrices.values()))[0]
    tasks = list(first.tasks) if _same_tasks(matrices) else [f"task {k + 1}" for k in range(len(first.tasks))]
    percent = all(np.nanmax(np.abs(matrix.scores)) <= 1.0 for found in matrices.values() for matrix in found)
    bounds = DIFFERENCE.range(percent)
    rows = []
    for name, found in matrices.items():
        drops = [estimate([drop(matrix, place) for matrix in found], bounds) for place in range(len(tasks))]
        rows.append([name, *(_unbroken(DIFFERENCE.written(one, percent)) for one in drops)])
    note = "The drop of each task from the best it ever was, after the stream. The task taught last has had no time."
    return html.section("Forgetting, task by task", note, html.table(["", *tasks], rows))


def _unbroken(cell: str) -> str:
    """A mean and its interval, with room to break the line between the two and nowhere else."""
    mean, bracket, rest = cell.partition(" [")
    return mean.replace(" ", NBSP) + bracket + rest.replace(" ", NBSP)


def drop(matrix: ScoreMatrix, place: int) -> float | None:
    """Best score since the first visit minus the last one, of the task in this place; None where it was taught last."""
    visits = matrix.visits()
    task = matrix.tasks[place]
    if task not in visits or visits[task][1] == len(matrix.segments):
        return None
    column = matrix.column(task)[visits[task][0] :]
    return float(np.nanmax(column[:-1]) - column[-1])


def _same_tasks(matrices: Mapping[str, Sequence[ScoreMatrix]]) -> bool:
    return len({(matrix.tasks, matrix.segments) for found in matrices.values() for matrix in found}) == 1


def _failed(results: Results) -> str:
    if not results.failed:
        return ""
    rows = [
        [cell.contender.label, str(cell.seed), error, (cell.path / ERROR).relative_to(results.plan.out).as_posix()]
        for cell, error in results.failed
    ]
    note = "Start the study again to have them tried again."
    return html.section("Failed", note, html.table(["agent", "seed", "why", "more in"], rows, text=(0, 1, 2, 3)))


def _again(results: Results) -> str:
    """The settings of every agent, each a configuration of its own."""
    note = "Each cell is an ordinary run, in a folder of its own below this page."
    configs = [
        html.folded(contender.label, html.code(dump(contender.config.as_dict())))
        for contender in results.plan.contenders
    ]
    return html.section("Settings", note, "".join(configs))
