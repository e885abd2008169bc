"""Folders of recorded runs in which a file is not what it was: reported on, analysed, resumed and logged."""

from __future__ import annotations

import json
import os
import random
import shutil
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from benchmarks.fuzz import nasty
from benchmarks.fuzz.small import LIVES, QUIET, write_data
from benchmarks.fuzz.text import BYTES
from benchmarks.fuzz.trial import Fault, Try, by_command
from benchmarks.harness import CONFIGS
from lifelong.config import load_config
from lifelong.record.runs import read_run
from lifelong.runs import run_config

FILES = ("events.jsonl",) * 6 + (
    "summary.json",
    "summary.json",
    "config.yaml",
    "operations.jsonl",
    "scores.csv",
    "checkpoints",
)


def lived(place: Path) -> tuple[list[Path], list[Path]]:
    """Folders of runs that came to their end, and of runs that were stopped in the middle."""
    write_data(place / "data")
    os.environ["LIFELONG_DATA"] = str(place / "data")
    whole, stopped = [], []
    for name, (config, *words) in LIVES.items():
        resolved = load_config(CONFIGS / config, [*QUIET, *words, "record.report=false", "record.checkpoint_every=1"])
        whole.append(place / "whole" / name)
        with warnings.catch_warnings(action="ignore"), redirect_stdout(StringIO()):
            run_config(resolved, whole[-1])
        # As if it had been killed: the last lines and what is made at the end are not there.
        half = place / "stopped" / name
        shutil.copytree(whole[-1], half)
        (half / "summary.json").unlink()
        (half / "scores.csv").unlink()
        if name != "beside a reference":
            sorted((half / "checkpoints").iterdir())[-1].unlink()
        stopped.append(half)
    return whole, stopped


def folders(place: Path) -> Try:
    """One file or two of a folder are spoiled, and a command is given it."""
    whole, stopped = lived(place)

    def tried(draw: random.Random, here: Path) -> bool:
        run = here / "run"
        shutil.copytree(draw.choice(draw.choice((whole, stopped))), run, dirs_exist_ok=True)
        try:
            for _ in range(draw.choice((1, 1, 1, 2))):
                _spoil(draw, run, draw.choice(FILES))
            return draw.choice(COMMANDS)(draw, run)
        finally:
            shutil.rmtree(run)
            for left in ("comparison.html", "analysis.html", "analysis.json"):
                (here / left).unlink(missing_ok=True)

    return tried


def _spoil(draw: random.Random, run: Path, name: str) -> None:
    file = run / name
    if name == "checkpoints":
        found = sorted(file.iterdir())
        if not found:
            return
        file = draw.choice(found)
        if draw.random() < 0.3:
            file.rename(
                file.with_name(draw.choice(("step-x.pt", "step-000000000009-0123456789abcdef.pt", "a.pending")))
            )
            return
    if not file.is_file() or draw.random() < 0.05:
        file.unlink(missing_ok=True)
        if draw.random() < 0.3:
            file.mkdir()
        return
    raw = file.read_bytes()
    if name.endswith((".json", ".jsonl")) and draw.random() < 0.7 and _is_whole(raw, name):
        raw = _json(draw, raw, name.endswith("l"))
    else:
        for _ in range(draw.choice((1, 1, 2, 5))):
            raw = draw.choice(BYTES)(draw, raw)
    file.write_bytes(raw)


def _is_whole(raw: bytes, name: str) -> bool:
    """Whether it has not been spoiled already."""
    try:
        return all(isinstance(json.loads(row), dict) for row in (raw.splitlines() if name.endswith("l") else [raw]))
    except (ValueError, RecursionError):
        return False


def _json(draw: random.Random, raw: bytes, lines: bool) -> bytes:
    """Another value in one place, or lines that are left out, doubled or moved."""
    rows = raw.splitlines() if lines else [raw]
    at = draw.randrange(len(rows))
    kind = draw.randrange(8) if lines else 7
    if kind == 0:
        del rows[at]
    elif kind == 1:
        rows.insert(draw.randrange(len(rows)), rows[at])
    elif kind == 2:
        rows.insert(
            at, draw.choice((b"", b"{}", b"null", b"[" * 100_000, b'{"step":1e999}', b"1" * 5000, b'{"a":' * 2000))
        )
    else:
        tree = json.loads(rows[at])
        others = [json.loads(draw.choice(rows)) for _ in range(3)]
        rows[at] = json.dumps(nasty.spoiled(draw, tree, [other for other in others if nasty.places(other)])).encode()
    return b"\n".join(rows) + b"\n"


def _read(draw: random.Random, run: Path) -> bool:
    """All of it but the pictures."""
    try:
        read_run(run)
    except ValueError as error:
        if str(run) not in str(error):
            raise Fault(f"a message that names no file: {error}") from error
        raise
    return True


def _report(draw: random.Random, run: Path) -> bool:
    before = _stamps(run)
    taken = by_command(["report", str(run)])
    after = _stamps(run)
    after.pop("report.html", None)
    if after != before or (taken and not (run / "report.html").is_file()):
        raise Fault("a report changed something else, or is not there")
    return taken


def _analyse(draw: random.Random, run: Path) -> bool:
    return by_command(["analyse", str(run)])


def _resume(draw: random.Random, run: Path) -> bool:
    file = run / "config.yaml"
    if file.is_file():
        text = file.read_bytes()
        # Nothing leaves this machine.
        file.write_bytes(text.replace(b"wandb: auto", b"wandb: disabled").replace(b"wandb: online", b"wandb: disabled"))
    with warnings.catch_warnings(action="ignore"):
        taken = by_command(["resume", str(run)])
    if taken and not (run / "summary.json").is_file():
        raise Fault("a run that was gone on with has no summary")
    if not taken and _half(run):
        raise Fault(f"left behind: {sorted(p.name for p in run.rglob('*.pending'))}")
    return taken


def _half(run: Path) -> bool:
    return any(run.rglob("*.pending")) and not any(run.rglob("a.pending"))


def _logged(draw: random.Random, run: Path) -> bool:
    return by_command(["wandb", str(run), "--mode", "offline"])


def _stamps(run: Path) -> dict[str, int]:
    return {str(file.relative_to(run)): file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file()}


COMMANDS: tuple[Callable[[random.Random, Path], bool], ...] = (
    _read, _read, _read, _read, _read, _report, _report, _analyse, _analyse, _resume, _resume, _resume, _logged,
)  # fmt: skip
