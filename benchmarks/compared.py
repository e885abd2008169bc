"""A study beside what others published: our mean and interval, their number, and the difference."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import CONFIGS, Table, data_folder, finish, parser
from lifelong.config import load_config
from lifelong.evaluation.numbers import NONE
from lifelong.study.run import engine_of, study
from lifelong.study.table import Row


@dataclass(frozen=True, slots=True)
class Published:
    """What somebody else got with a method, in per cent: a number or a range, and where it stands."""

    low: float
    high: float
    source: str

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"

    def difference(self, ours: float) -> float:
        """How far `ours` (%) lies outside of the range."""
        return ours - min(max(ours, self.low), self.high)


def study_parser(doc: str | None) -> argparse.ArgumentParser:
    """--quick, --json, and where the studies are kept, so that what is finished is not run again."""
    made = parser(doc)
    made.add_argument("--jobs", type=int, default=2, metavar="N", help="runs at a time (2)")
    made.add_argument("--seeds", type=int, default=5, metavar="N", help="how many, from 0 on (5)")
    made.add_argument("--out", type=Path, default=Path("studies"), metavar="DIR", help="where runs are kept (studies)")
    made.add_argument("--agents", metavar="A,B", help="these agents of the study alone")
    return made


def compare(
    config: str, published: dict[str, Published], options: argparse.Namespace, *overrides: str, name: str | None = None
) -> Table:
    """Run a study of configs/studies and lay what came out beside what was published, agent by agent.

    name: the folder of the study in `options.out` (None: that of the configuration).
    """
    folder = data_folder()
    if folder is None:
        sys.exit("skipped: there is no real MNIST here (set LIFELONG_DATA to a folder that holds mnist/).")
    os.environ["LIFELONG_DATA"] = str(folder)
    quick = ["stream.timetable.samples=6000"] if options.quick else []
    resolved = load_config(CONFIGS / "studies" / config, [*overrides, *quick])
    out = options.out / ((name or Path(config).stem) + ("-quick" if options.quick else ""))
    seeds = range(1 if options.quick else options.seeds)
    asked = () if options.agents is None else tuple(options.agents.split(","))
    references = ("naive",) if asked else ("naive", "joint", "independent", "frozen", "replay")
    asked = tuple(label for label in asked if label not in references)
    engine = engine_of("local", resolved, out, options.jobs)
    results = study(resolved, out, tuple(seeds), engine, asked=asked, references=references)
    table = Table(
        "agent",
        "seeds",
        "ACC %",
        "95 %",
        "BWT",
        "learning %",
        "published",
        "difference",
        "parameters",
        "samples",
        "stored kB",
        "CPU s",
    )
    for row in results.table.rows:
        table.add(*_line(row, published.get(row.label)))
    return table


def _line(row: Row, published: Published | None) -> list[object]:
    def mean(key: str, factor: float = 1.0, places: int = 1) -> object:
        found = row.found[key]
        return NONE if found is None else round(factor * found.mean, places or None)

    acc = row.found["acc"]
    if acc is None:
        return [row.name, row.seeds, *[NONE] * 10]
    ours = 100 * acc.mean
    spread = NONE if acc.low is None or acc.high is None else f"{100 * acc.low:.1f} to {100 * acc.high:.1f}"
    theirs = [NONE, NONE] if published is None else [str(published), f"{published.difference(ours):+.1f}"]
    scores = [round(ours, 1), spread, mean("bwt", 100), mean("learning", 100), *theirs]
    return [
        row.name,
        row.seeds,
        *scores,
        mean("parameters", 1, 0),
        mean("stored_samples", 1, 0),
        mean("stored_bytes", 1e-3, 0),
        mean("cpu_seconds", 1, 0),
    ]


def sources(published: dict[str, Published]) -> str:
    """Where the published numbers stand, a line each."""
    known = dict.fromkeys(one.source for one in published.values())
    return "Published: " + "; ".join(known) + "."


__all__ = ["Published", "compare", "finish", "sources", "study_parser"]
