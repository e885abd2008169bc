"""Configurations that are wrong in some way: loaded, built where they load, and some of them run by the command."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fuzz import nasty, text
from benchmarks.fuzz.small import LIVES, QUIET, write_data
from benchmarks.fuzz.trial import Fault, Hang, Try, by_command
from benchmarks.harness import CONFIGS
from lifelong.checkpoint import checkpoints_in, read_checkpoint
from lifelong.config import ConfigError, Resolved, load_config
from lifelong.config.errors import Report
from lifelong.config.source import read_file
from lifelong.events import RunFinished
from lifelong.record.folder import RunFolder
from lifelong.record.jsonl import read_events

LONGEST = 300
"""Experiences of a life that is lived; a longer one is only looked at."""


def originals() -> list[Path]:
    """Every configuration of the project that is one."""
    found = [*CONFIGS.rglob("*.yaml"), *(CONFIGS.parent / "examples").glob("*/study.yaml")]
    return sorted(file for file in found if "sweeps" not in file.parts and "plugin_package" not in file.parts)


def _trees(place: Path) -> list[dict[str, Any]]:
    """What they say, as it is written, and again with every default written out."""
    write_data(place / "data")
    os.environ["LIFELONG_DATA"] = str(place / "data")
    return [tree for file in originals() for tree in (read_file(file, Report("")), load_config(file).as_dict())]


def trees(place: Path) -> Try:
    """Settings of other kinds, names and sizes."""
    known = _trees(place)

    def tried(draw: random.Random, here: Path) -> bool:
        file = here / "study.yaml"
        file.write_text(_dumped(draw, nasty.spoiled(draw, draw.choice(known), known)), encoding="utf-8")
        return _built(file)

    return tried


def texts(place: Path) -> Try:
    """Files that are hardly YAML, or that mean something else."""
    _trees(place)
    known = [file.read_bytes() for file in originals()]

    def tried(draw: random.Random, here: Path) -> bool:
        canary = here / "canary"
        file = here / "study.yaml"
        file.write_bytes(text.spoiled(draw, draw.choice(known), canary))
        try:
            return _built(file)
        finally:
            if canary.exists():
                canary.unlink()
                raise Fault("the file ran a command")

    return tried


def overrides(place: Path) -> Try:
    """Settings on the command line."""
    known = _trees(place)
    files = originals()

    def tried(draw: random.Random, here: Path) -> bool:
        which = draw.randrange(len(files))
        # Of its own keys most of the time.
        own = known[2 * which + draw.randrange(2)]
        words = [
            _override(draw, draw.choice((own, own, draw.choice(known))), known)
            for _ in range(draw.choice((1, 1, 2, 3)))
        ]
        return _built(files[which], words)

    return tried


def commands(place: Path) -> Try:
    """Small lives, run by the command itself."""
    known = _trees(place)
    lives = [load_config(CONFIGS / life[0], [*QUIET, *life[1:]]).as_dict() for life in LIVES.values()]

    def tried(draw: random.Random, here: Path) -> bool:
        file, out = here / "study.yaml", here / "out"
        changed = nasty.spoiled(draw, draw.choice(lives), known)
        if isinstance(changed.get("record", {}), dict):
            # Nothing leaves this machine.
            changed["record"] = {**changed.get("record", {}), "wandb": "disabled"}
        file.write_text(_dumped(draw, changed), encoding="utf-8")
        way = ["--dry-run"] if _is_long(file) else ["--out", str(out)]
        try:
            taken = by_command(["run", str(file), *way])
        except Hang:
            if not RunFolder(out).events.is_file():
                raise
            # Settings may ask for more work than there is time for.
            taken = True
        else:
            left_well(out, taken and not way[0].startswith("--dry"))
        finally:
            _remove(out)
        return taken

    return tried


def left_well(out: Path, finished: bool) -> None:
    """Raises a Fault unless the folder of a run is not there, whole, or can be gone on with."""
    folder = RunFolder(out)
    if not finished:
        if not out.exists():
            return
        records = [file for file in (folder.events, *out.glob("*/events.jsonl")) if file.is_file()]
        if not any(step > 0 for file in records for step, _ in read_events(file)):
            raise Fault(f"a half-written folder: {sorted(p.name for p in out.rglob('*'))}")
        raise Fault("a life that could not be lived to its end")
    if not any(isinstance(event, RunFinished) for _, event in read_events(folder.events)):
        raise Fault("a record without its end")
    folder.read_summary()
    for file in checkpoints_in(folder.checkpoints):
        read_checkpoint(file)
    load_config(folder.config)
    rest = [file.name for file in out.rglob("*") if file.name.endswith((".pending", ".tmp"))]
    if rest:
        raise Fault(f"left behind: {rest}")


def _built(file: Path, words: Sequence[str] = ()) -> bool:
    """Whether it loads, and everything in it can be made; refusals are raised."""
    path = list(sys.path)
    try:
        resolved = load_config(file, words)
        study = resolved.build()
        for _ in study.stream.segments, study.stream.tasks:
            pass
        _written_again(resolved, file)
    except ConfigError as error:
        if file.name not in str(error) and "command line" not in str(error):
            raise Fault(f"a message that names no file: {error}") from error
        raise
    finally:
        sys.path[:] = path
    return True


def _written_again(resolved: Resolved, file: Path) -> None:
    """What is recorded of a configuration must be the same configuration."""
    again = file.with_name("again.yaml") if os.access(file.parent, os.W_OK) else file
    if "examples" in file.parts or "configs" in file.parts:
        again = Path("again.yaml")
    written = resolved.to_yaml()
    again.write_text(written, encoding="utf-8")
    if load_config(again).to_yaml() != written:
        raise Fault("the settings are others once they are written and read")


def _is_long(file: Path) -> bool:
    try:
        segments = load_config(file).build().stream.segments
    except Exception:
        return False
    return sum(segment.steps for segment in segments) > LONGEST


def _override(draw: random.Random, tree: Any, known: Sequence[Any]) -> str:
    at = draw.choice(nasty.places(tree))
    kind = draw.randrange(20)
    there = nasty.alike(draw, nasty.part(tree, at), at[-1], known)
    given = draw.choice((there, there, draw.choice(nasty.NUMBERS), nasty.value(draw)))
    path = ".".join(map(str, at))
    if kind == 0:
        path = nasty.typo(draw, path)
    elif kind == 1:
        path = f"{path}.{draw.choice(('0', '-1', '99', 'x', '', '..'))}"
    elif kind == 2:
        return draw.choice(
            (
                path,
                f"={path}",
                f"{path}==1",
                f".{path}=1",
                "=",
                f"{path}=[",
                f"{path}={{a",
                f"{path}=!!python/name:os.system",
            )
        )
    return f"{path}={_dumped(draw, given).strip()}"


def _dumped(draw: random.Random, tree: Any) -> str:
    flow = draw.choice((None, False, True))
    written: str = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=draw.random() < 0.5, sort_keys=False)
    return written.encode("utf-8", "replace").decode()


def _remove(out: Path) -> None:
    import shutil

    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)
