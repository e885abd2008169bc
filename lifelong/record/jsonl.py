"""The record itself: one JSON line an event, the truth that a run's other files can be rebuilt from.

Nothing in it comes from the clock, so two runs of one seed write the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from lifelong.events import CheckpointSaved, Event
from lifelong.record.plain import decode, encode

KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}


class RecordLost(RuntimeError):
    """The source of truth cannot be written: a run that cannot be recorded stops."""


class EventLog:
    """Appends every event to a file of JSON lines, each flushed as it is written.

    A checkpoint's line is forced onto the disk, because resuming cuts the file there.
    Raises RecordLost where the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("a", encoding="utf-8", newline="\n")
        except OSError as error:
            raise RecordLost(f"Cannot open {path} to record the run: {error.strerror}.") from error

    def on(self, step: int, event: Event) -> None:
        try:
            self._file.write(line_of(step, event) + "\n")
            self._file.flush()
            if isinstance(event, CheckpointSaved):
                os.fsync(self._file.fileno())
        except (OSError, ValueError) as error:
            raise RecordLost(f"Cannot write {type(event).__name__} to {self.path}: {error}.") from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise RecordLost(f"Cannot finish {self.path}: {error.strerror}.") from error


def line_of(step: int, event: Event) -> str:
    """One event as one line of JSON: `step`, `event` (its class) and its fields."""
    row = {"step": step, "event": type(event).__name__, **encode(event)}
    return json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def read_events(path: Path) -> list[tuple[int, Event]]:
    """All events of a record with their steps; a torn last line, left by a crash, is passed over.

    Raises FileNotFoundError where there is no record, ValueError with the line number where a line is not
    an event.
    """
    return [(step, event) for step, event, _ in _lines(path)]


def truncate_to(path: Path, step: int) -> None:
    """Cut a record right after the checkpoint saved at `step`, so that a resumed run goes on from there.

    Raises ValueError where the record holds no such checkpoint.
    """
    saved = {at: end for at, event, end in _lines(path) if isinstance(event, CheckpointSaved)}
    if step not in saved:
        there = ", ".join(str(at) for at in saved) or "none"
        raise ValueError(
            f"{path} holds no checkpoint at step {step} to resume from; checkpoints are at: {there}. "
            "Resume from one of those, or start the run anew in another folder."
        )
    os.truncate(path, saved[step])


def _lines(path: Path) -> Iterator[tuple[int, Event, int]]:
    """Each event with its step and the offset at which its line ends."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                row = json.loads(line)
                step, event = int(row["step"]), decode(KINDS[row["event"]], row)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}, line {number} is not an event of this version of lifelong ({error!r}): "
                    f"{line[:80]!r}. Restore the file, or delete that line."
                ) from error
            yield step, event, offset
