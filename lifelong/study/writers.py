"""The tables of a study for other programs: CSV, Markdown, LaTeX, JSON. Equal results give equal bytes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lifelong.evaluation.summary import Summary
from lifelong.record.plain import encode
from lifelong.study.columns import COSTS, SCORES, Column
from lifelong.study.results import Results, doubts_of, notes
from lifelong.study.statistics import Estimate
from lifelong.study.table import Row, Table

PARTS = ("", "_low", "_high")

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "†": r"$\dagger$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "−": "$-$", "–": "--", "[": "{[}", "]": "{]}",
}  # fmt: skip


def write_tables(results: Results, out: Path) -> None:
    """Write table.csv, table.md, table.tex, cells.csv and study.json into the study's folder."""
    table = results.table
    for name, text in (
        ("table.csv", table_csv(table)),
        ("table.md", table_markdown(results)),
        ("table.tex", table_latex(results)),
        ("cells.csv", cells_csv(results)),
        ("study.json", study_json(results)),
    ):
        (out / name).write_text(text, encoding="utf-8")


def table_csv(table: Table) -> str:
    """A row for each agent; a mean, and beside it the two ends of its interval, in units of the metric."""
    columns = (*SCORES, *COSTS)
    keys = ["acc_difference", *(column.key for column in columns)]
    head = ["agent", "told", "doubted", "seeds", *(key + part for key in keys for part in PARTS)]
    return _csv([head, *(_plain_row(row, columns) for row in table.rows)])


def cells_csv(results: Results) -> str:
    """A row for each cell with all of its headline numbers; of one that failed, the reason."""
    measured = [field.name for field in fields(Summary) if field.name not in ("versions", "families", "seed")]
    families = sorted({name for runs in results.finished.values() for s in runs.values() for name in s.families})
    head = ["label", "seed", "folder", "error", *measured, *(f"family.{name}" for name in families)]
    why = {(cell.contender.label, cell.seed): error for cell, error in results.failed}
    rows = []
    for cell in results.plan.cells():
        label, seed = cell.contender.label, cell.seed
        folder = cell.path.relative_to(results.plan.out).as_posix()
        summary = results.finished[label].get(seed)
        values = [] if summary is None else [getattr(summary, name) for name in measured]
        more = [] if summary is None else [summary.families.get(name) for name in families]
        rows.append([label, seed, folder, why.get((label, seed), ""), *values, *more])
    return _csv([head, *([*row, *[""] * (len(head) - len(row))] for row in rows)])


def table_markdown(results: Results) -> str:
    """Two tables, of scores and of costs, with what they mean."""
    parts = [_markdown(results.table, columns) for columns in _shown(results.table)]
    return "\n\n".join([*parts, *_said(results)]) + "\n"


def table_latex(results: Results) -> str:
    """Two tabulars, to be used with the package booktabs."""
    lines = ["% Needs \\usepackage{booktabs}."]
    for columns in _shown(results.table):
        best = results.table.best(columns)
        lines += [
            rf"\begin{{tabular}}{{l{'r' * len(results.table.head(columns))}}}",
            r"\toprule",
            _tex_row(["Agent", *results.table.head(columns)], set()),
            r"\midrule",
            *(
                _tex_row([row.name, *results.table.cells(row, columns)], {place + 1 for place in stressed})
                for row, stressed in zip(results.table.rows, best, strict=True)
            ),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    lines += [rf"\par\noindent{{\footnotesize {_tex(doubt)}}}" for doubt in doubts_of(results)]
    lines += [f"% {' '.join(note.split())}" for note in [*notes(results), *_failures(results)]]
    return "\n".join(lines) + "\n"


def study_json(results: Results) -> str:
    """Everything in one: who took part, with which settings, and what came out."""
    plan, table = results.plan, results.table
    why = {(cell.contender.label, cell.seed): error for cell, error in results.failed}
    data: dict[str, Any] = {
        "name": plan.name,
        "seeds": list(plan.seeds),
        "baseline": plan.baseline,
        "left_out": dict(plan.left_out),
        "agents": [
            {
                "label": contender.label,
                "reference": contender.is_reference,
                "config": contender.config.as_dict(),
                "difference": encode(row.difference),
                "measures": {key: encode(found) for key, found in row.found.items()},
            }
            for contender, row in zip(plan.contenders, table.rows, strict=True)
        ],
        "cells": [
            {
                "label": cell.contender.label,
                "seed": cell.seed,
                "folder": cell.path.relative_to(plan.out).as_posix(),
                "error": why.get((cell.contender.label, cell.seed)),
                "summary": encode(results.finished[cell.contender.label].get(cell.seed)),
            }
            for cell in plan.cells()
        ],
    }
    return json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _shown(table: Table) -> list[list[Column]]:
    return [columns for columns in (table.known(SCORES), table.known(COSTS)) if columns]


def _said(results: Results) -> list[str]:
    return [*doubts_of(results), *notes(results), *_failures(results)]


def _failures(results: Results) -> list[str]:
    return [f"Failed: {cell.contender.label}, seed {cell.seed}: {error}" for cell, error in results.failed]


def _plain_row(row: Row, columns: Sequence[Column]) -> list[object]:
    found = [row.difference, *(row.found[column.key] for column in columns)]
    return [row.label, row.told, row.doubted, row.seeds, *(value for one in found for value in _three(one))]


def _three(found: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if found is None else (found.mean, found.low, found.high)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _markdown(table: Table, columns: Sequence[Column]) -> str:
    lines = [["agent", *table.head(columns)], ["---", *["---:"] * len(table.head(columns))]]
    for row, stressed in zip(table.rows, table.best(columns), strict=True):
        cells = [_md(cell) for cell in table.cells(row, columns)]
        lines.append([_md(row.name), *(f"**{c}**" if k in stressed else c for k, c in enumerate(cells))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _md(text: str) -> str:
    """Text that Markdown shows as it is, also where HTML would mean something."""
    return re.sub(r"([\\`*_|<>$])", r"\\\1", text)


def _tex_row(cells: Sequence[str], stressed: set[int]) -> str:
    written = [rf"\textbf{{{_tex(cell)}}}" if k in stressed else _tex(cell) for k, cell in enumerate(cells)]
    return " & ".join(written) + r" \\"


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
