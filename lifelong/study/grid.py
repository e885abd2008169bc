"""Where each cell of a study stands on the disk: not begun, begun, finished, or in the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from lifelong.beforehand import look_ahead
from lifelong.config.compare import differences
from lifelong.record.folder import RunFolder
from lifelong.record.lock import alone_in
from lifelong.stream import Stream
from lifelong.study.job import ERROR
from lifelong.study.plan import Cell, Contender

State = Literal["new", "begun", "finished"]


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
    other = differences(cell.contender.config, cell.settings, folder.config)
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
    if RunFolder(out).holds_run():
        raise FileExistsError(
            f"{out} is the folder of a single run, and a study's runs lie below it: choose another --out."
        )
    with alone_in(out, "Another study is at work"):
        yield
