"""Tables in text files that are none, or hold what is no number."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

from benchmarks.fuzz import small
from benchmarks.fuzz.datafiles import BOMB, spoiled, used
from benchmarks.fuzz.trial import Try
from lifelong_envs.supervised.data import Csv


def table(place: Path) -> Try:
    """Text files with a table in them."""
    rows = small.table()
    bomb = gzip.compress(b"1,2\n" * (BOMB // 256), 1) * 64

    def tried(draw: random.Random, here: Path) -> bool:
        delimiter = draw.choice((",", ",", ";", " ", "\t"))
        spoilt = _rows(draw, rows)
        raw = small.csv_text(spoilt, delimiter).encode("utf-8", "surrogatepass")
        kind = draw.randrange(12)
        if kind < 4:
            raw = spoiled(draw, raw)
        elif kind == 4:
            raw = raw.decode(errors="replace").encode(draw.choice(("utf-16", "utf-8-sig", "utf-32")))
        elif kind == 5:
            raw = draw.choice(
                (b"", b"\n", b"a", b"a,b\n", b"1,2\n" * 3, raw[:40], b",".join([b"1"] * 50_000), b'"' + raw)
            )
        packed = draw.random() < 0.3
        if packed:
            raw = gzip.compress(raw, 1)
            if draw.random() < 0.5:
                raw = bomb if draw.random() < 0.02 else spoiled(draw, raw)
        file = here / f"table.csv{'.gz' * packed}"
        file.write_bytes(raw)
        labels = None
        if draw.random() < 0.2:
            labels = here / "labels.csv"
            labels.write_bytes(spoiled(draw, "\n".join(row[-1] for row in rows[1:]).encode()))
        return used(_csv(draw, file, delimiter, labels), draw, file, labels or file)

    return tried


def _rows(draw: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """The table with other cells in it."""
    rows = [list(row) for row in rows]
    numbers = ("-1", "1e30", "-1e-300", "1_000", "١", "9" * 300, "+5", " 7 ", "1e308", "0.0", "-0")
    others = (
        "",
        " ",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "x",
        "é",
        "1,5",
        '"',
        "0x1",
        "None",
        "x" * 200_000,
        "\x1b[2J",
        "9" * 400,
    )
    cells = draw.choice((numbers, numbers, others))
    for _ in range(draw.choice((0, 0, 1, 2, 20))):
        draw.choice(rows)[draw.randrange(9)] = draw.choice(cells)
    kind = draw.randrange(12)
    if kind == 0:
        rows = rows[: draw.choice((0, 1, 2, 3))]
    elif kind == 1:
        for row in rows[1:]:
            row[-1] = draw.choice(("a", "a", "b", "0", "1.5", "-3", "x" * 500)) if draw.random() < 0.5 else "a"
    elif kind == 2:
        at = draw.randrange(len(rows))
        rows[at] = draw.choice((rows[at][:-1], [*rows[at], "1"], [], rows[at] * 100))
    elif kind == 3:
        rows = rows[1:]
    return rows


def _csv(draw: random.Random, file: Path, delimiter: str, labels: Path | None) -> Csv:
    """The settings that fit the table, but for one of them now and then."""
    settings: dict[str, Any] = {
        "delimiter": delimiter,
        "task": draw.choice(("classification", "classification", "regression")),
        "split": draw.choice(("random", "time")),
        "standardise": draw.choice(("train", "never")),
    }
    if draw.random() < 0.4:
        which = draw.choice(list(STRANGE))
        settings[which] = draw.choice(STRANGE[which])
    if labels is not None:
        settings["target"] = -1
    return Csv(file, labels_file=labels, **settings)


STRANGE: dict[str, tuple[Any, ...]] = {
    "target": ("class", "nobody", 0, 8, 9, -9, -10, 10**30),
    "delimiter": ("whitespace", "|", "\n", '"', "\r", "é", " ", "\x00", ""),
    "header": (False,),
    "test_share": (0.5, 0.001, 0.999, 1e-9, float("nan")),
    "drop": ([], [0], ["c1"], list(range(9)), [99], ["nobody"]),
}
