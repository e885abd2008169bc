"""A learner on disk: written whole or not at all, checked when it is read, read without running what it contains.

A file is called `step-<experiences>-<digest>.pt`, with the first 16 digits of its own SHA-256. Tensors and plain data
pass through torch's restricted unpickler; beyond those it admits only the frozen dataclasses of this library and the
objectives of the stream that the run itself uses.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch

from lifelong import experience, objective
from lifelong.interaction import WorldLost
from lifelong.learner import Agent
from lifelong.record.disk import settle_names
from lifelong.record.jsonl import Cursor
from lifelong.saying import printable
from lifelong.stream import Lived, Stream, Task

FORMAT = 8
NAME = re.compile(r"step-(?P<step>\d{12,})-(?P<digest>[0-9a-f]{16})\.pt")


SHOWN = 300
"""Characters of somebody else's message that are passed on."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or was written by something else."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a checkpoint stands: experiences learned, seconds that the run had taken, and those of the CPU."""

    step: int
    seconds: float
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Noted:
    """What a checkpoint keeps of the record: how far it had got, and what the journal had not published yet."""

    cursor: Cursor
    pending: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What was read from a file. noted: of the record, where the run had one."""

    path: Path
    mark: Mark
    noted: Noted | None
    kept: dict[str, Any]

    def restore(self, learner: Agent, stream: Stream | None = None) -> None:
        """Put the learner, all random states and the worlds of a stream that is lived in back to what they were.

        Raises CheckpointError where this is of another agent, of one with other settings, or of nobody, and WorldLost
        where a world cannot be lived in any more.
        """
        try:
            learner.load_state_dict(self.kept["learner"])
            if isinstance(stream, Lived):
                stream.load_state_dict(self.kept["stream"])
            _set_random(self.kept["random"])
        except WorldLost:
            # The checkpoint is as it should be.
            raise
        except Exception as error:
            # What has another shape or type than was saved makes a learner fail in any way that there is.
            raise CheckpointError(
                f"{self.path} does not fit {type(learner).__name__} as it is set up now: it was saved by another "
                f"agent, or with other settings ({type(error).__name__}: {printable(str(error), SHOWN)})."
            ) from error


def save_checkpoint(
    folder: Path, mark: Mark, learner: Agent, stream: Stream | None = None, noted: Noted | None = None
) -> Path:
    """Write the learner, all random states and, of a stream that is lived in, its worlds; returns the new file.

    The file appears only when it is complete and on the disk. Raises OSError where it cannot be written.
    """
    kept = {
        "format": FORMAT,
        "mark": (mark.step, mark.seconds, mark.cpu_seconds),
        "noted": None if noted is None else (noted.cursor.bytes, noted.cursor.sha256, noted.pending),
        "random": _random(),
        "learner": learner.state_dict(),
        "stream": stream.state_dict() if isinstance(stream, Lived) else None,
    }
    pending = folder / f"step-{mark.step:012d}.{os.getpid()}.pending"
    try:
        with pending.open("wb") as file:
            tee = _Tee(file)
            torch.save(kept, cast(IO[bytes], tee))
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"step-{mark.step:012d}-{tee.digest.hexdigest()[:16]}.pt"
        os.replace(pending, path)
    except BaseException as error:
        pending.unlink(missing_ok=True)
        if isinstance(error, RuntimeError):
            # What torch makes of a file that cannot be written.
            raise OSError(
                f"{pending} cannot be written whole: is the disk full? ({str(error).splitlines()[0]})"
            ) from error
        raise
    settle_names(folder)
    return path


def checkpoints_in(folder: Path) -> list[Path]:
    """All checkpoints of a folder, the newest first; other files, and ones that vanish meanwhile, are passed over."""
    found = []
    for path in folder.glob("step-*.pt"):
        if match := NAME.fullmatch(path.name):
            with suppress(FileNotFoundError):
                found.append((int(match["step"]), path.stat().st_mtime_ns, path))
    return [path for *_, path in sorted(found, key=lambda one: one[:2], reverse=True)]


def read_checkpoint(path: Path, stream: Stream | None = None, device: str = "cpu") -> Checkpoint:
    """Read a file, once it has been found to be what its name says.

    stream: the one of the run, whose own objectives may be in it. Raises CheckpointError.
    """
    named = NAME.fullmatch(path.name)
    if named is None:
        raise CheckpointError(f"{path} is not named as checkpoints are: step-<experiences>-<digest>.pt.")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(named["digest"]):
            raise CheckpointError(f"{path} is damaged: it is not what was written (its SHA-256 begins {digest[:16]}).")
        with torch.serialization.safe_globals(_admitted(stream)):
            kept: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(kept, dict) or kept.get("format") != FORMAT:
            raise CheckpointError(f"{path} is not a checkpoint of this version of lifelong (format {FORMAT}).")
        step, seconds, cpu_seconds = kept["mark"]
        return Checkpoint(path, Mark(int(step), float(seconds), float(cpu_seconds)), _noted(kept["noted"]), kept)
    except CheckpointError:
        raise
    except Exception as error:
        # What was made to look like a checkpoint makes torch fail in any way that there is.
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {_why(error)}") from error


def _noted(noted: Any) -> Noted | None:
    if noted is None:
        return None
    length, digest, pending = noted
    if not isinstance(length, int) or not isinstance(digest, str) or not isinstance(pending, dict):
        raise TypeError("what it says of the record is no length, digest and what was pending")
    return Noted(Cursor(length, digest), pending)


def _why(error: Exception) -> str:
    """In our words: torch's own advise to read the file in the way that runs what is in it."""
    said = str(error)
    refused = re.search(r"GLOBAL (\S+)|[Tt]rying to (?:call|instantiate) \S+ (\S+)", said)
    if refused is not None:
        return f"it names {refused[1] or refused[2]}, which has no place in one. Nothing of it was run."
    if "weights_only" in said or "Weights only load failed" in said:
        return "it holds something else than tensors and plain data. Nothing of it was run."
    return f"{type(error).__name__}: {printable(said.strip(), SHOWN)}"


def plain_state(state: dict[str, Any]) -> dict[str, Any]:
    """A numpy generator's state as numbers and text: its arrays as lists."""
    return {
        key: plain_state(value) if isinstance(value, dict) else value.tolist() if hasattr(value, "tolist") else value
        for key, value in state.items()
    }


def _random() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": plain_state(np.random.get_state(legacy=False)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([kept.cpu() for kept in state["cuda"]])


class _Tee:
    """A file that is written, and digested on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def write(self, part: bytes) -> int:
        self.digest.update(part)
        return self._file.write(part)

    def flush(self) -> None:
        self._file.flush()


def _admitted(stream: Stream | None) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    known = [
        objective.Contract,
        experience.Batch,
        objective.Classification,
        objective.MultiLabel,
        objective.Regression,
        objective.Accuracy,
        objective.LabelAccuracy,
        objective.Explained,
        objective.AbsoluteError,
    ]
    tasks: Iterable[object] = () if stream is None else stream.tasks
    for task in (task for task in tasks if isinstance(task, Task)):
        known += [type(task.contract.objective), type(task.contract.objective.metric)]
    return list(dict.fromkeys(known))
