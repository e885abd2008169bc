"""What every benchmark does alike: its options, its table, its JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

import torch

from lifelong.config import load_config
from lifelong.evaluation.summary import Summary
from lifelong.lifetime import run

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """--quick for a shorter run with the same shape, --json FILE for the numbers."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("--quick", action="store_true", help="fewer seeds or rounds")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    return made


def arguments(doc: str | None) -> argparse.Namespace:
    """Those options alone."""
    return parser(doc).parse_args()


def summary_of(config: str, seed: int, *overrides: str, agent: str = "agent") -> Summary:
    """Run a configuration's agent (or its reference) without writing anything, on one thread."""
    # Set here, so that configurations find the real data in the folder beside the project as well.
    if (folder := data_folder()) is not None:
        os.environ["LIFELONG_DATA"] = str(folder)
    study = load_config(CONFIGS / config, [f"seed={seed}", *overrides]).build()
    plan = study.agent if agent == "agent" else study.reference
    assert plan is not None
    torch.set_num_threads(1)
    return run(study.stream, plan.build(), seed=seed, name=plan.name, evaluation=study.schedule).summary


def rounded(value: float | None) -> float | None:
    """Four decimals, and None for what is not defined."""
    return None if value is None else round(value, 4)


def data_folder() -> Path | None:
    """Where the real data sets are: $LIFELONG_DATA, or shared/data beside the project; None where there are none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LIFELONG_DATA", beside))
    return folder if folder.is_dir() else None


class Table:
    """Rows of plain values under named columns."""

    def __init__(self, *columns: str) -> None:
        self.columns, self.rows = columns, list[tuple[object, ...]]()

    def add(self, *values: object) -> None:
        assert len(values) == len(self.columns), "a row must have a value for every column"
        self.rows.append(values)

    def __str__(self) -> str:
        cells = [[str(v) for v in row] for row in (self.columns, *self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
        lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
        return "\n".join(lines)


def finish(table: Table, options: argparse.Namespace) -> None:
    """Print the table and write the numbers where asked."""
    print(table)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} thread(s)"
    print(f"\n{machine}, torch {torch.__version__}")
    if options.json is not None:
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
