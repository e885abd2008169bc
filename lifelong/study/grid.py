"""Where each cell of a study stands on the disk: not begun, begun, finished, or in the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from lifelong.beforehand import look_ahead
from lifelong.config.errors import Report, dotted
from lifelong.config.source import read_file
from lifelong.record.folder import RunFolder
from lifelong.stream import Stream
from lifelong.study.job import ERROR
from lifelong.study.plan import Cell, Contender

State = Literal["new", "begun", "finished"]

NOT_COMPARED = ("record", "modules_from")
"""What makes no difference to the numbers of a run, or names a place alone."""


def state_of(cell: Cell) -> State:
    """How far a cell has got. Raises FileExistsError where its folder holds a run of another configuration.

    A run that failed under another one is removed.
    """
    folder = RunFolder(cell.path)
    if not folder.holds_run():
        return "new"
    if not folder.config.is_file():
        raise FileExistsError(
            f"{cell.path} holds a run without its config.yaml, so that nobody knows what it is of: put that file back, "
            "or remove the folder."
        )
    other = _differences(cell, folder.config)
    if other and (cell.path / ERROR).is_file() and not folder.summary.is_file():
        # It failed, and what it was of has been changed since, perhaps to mend that: there is no result to lose.
        shutil.rmtree(cell.path)
        return "new"
    if other:
        raise FileExistsError(
            f"{cell.path} holds a run of another configuration (it differs in {', '.join(other)}): give this study "
            "another folder (--out), or remove that one."
        )
    try:
        return "finished" if folder.read_summary().finished else "begun"
    except ValueError:
        # Its last write was cut short.
        folder.summary.unlink()
    except FileNotFoundError:
        pass
    return "begun"


def able(contenders: Iterable[Contender]) -> dict[str, str]:
    """Which references cannot live through the stream, with the reasons. Raises ValueError that names all others."""
    streams: dict[str, Stream] = {}
    refused: dict[str, str] = {}
    unable: list[str] = []
    for contender in contenders:
        # Data are read once for all that are told equally much.
        described = repr(contender.config.as_dict()["stream"])
        try:
            study = contender.config.build(streams.get(described))
            streams[described] = study.stream
            look_ahead(study.stream, study.agent.build(), f"agent {contender.label}")
        except ValueError as error:
            if contender.is_reference:
                refused[contender.label] = str(error)
            else:
                unable.append(str(error))
    if unable:
        raise ValueError("\n".join(unable) + ("\nLeave them out (--agents), or change the stream." * (len(unable) > 1)))
    return refused


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keep other studies out of the folder meanwhile. Raises FileExistsError where one is at work there."""
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file, not a folder: choose another --out.")
    if RunFolder(out).holds_run():
        raise FileExistsError(
            f"{out} is the folder of a single run, and a study's runs lie below it: choose another --out."
        )
    out.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(f"Another study is at work in {out}: wait for it, or choose another --out.") from None
        yield


def _differences(cell: Cell, config: Path) -> list[str]:
    """The keys in which a config.yaml says something else than the cell would run."""
    try:
        # Read as a whole configuration: an older one has not written out what is new since.
        there = cell.contender.config.changed(read_file(config, Report(str(config)))).as_dict()
    except ValueError:
        return ["config.yaml, which this version of lifelong cannot read"]
    keys = [key for key in cell.settings if key not in NOT_COMPARED]
    return [dotted(place) for key in keys for place in _unlike(there[key], cell.settings[key], (key,))]


def _unlike(one: Any, other: Any, at: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = dict.fromkeys([*one, *other])
        return [place for key in keys for place in _unlike(one.get(key), other.get(key), (*at, str(key)))]
    return [] if one == other else [at]
