"""The record itself: one JSON line an event, the truth that a run's other files can be rebuilt from.

Nothing in it comes from the clock, or from how often a run was interrupted: two runs of one seed write the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lifelong.events import Event
from lifelong.record.parts import PART, close_part, cut, digest_of, parts_of
from lifelong.record.plain import decode, encode, parsed

KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}


class RecordLost(RuntimeError):
    """The source of truth cannot be written: a run that cannot be recorded stops."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a record had got: its length in bytes, and the SHA-256 (in hex) of all of them."""

    bytes: int
    sha256: str


class EventLog:
    """Appends every event to a file of JSON lines, each flushed as it is written. A file of `part` bytes is full.

    Raises RecordLost where the file cannot be written.
    """

    def __init__(self, path: Path, part: int = PART) -> None:
        self.path, self._part = path, part
        try:
            self._written, self._digest = digest_of(path)
            self._file = path.open("ab")
        except OSError as error:
            raise RecordLost(f"Cannot open {path} to record the run: {error.strerror}.") from error

    def on(self, step: int, event: Event) -> None:
        try:
            # Half a character, as in the name of a file that is no text, is written as JSON's own escape.
            line = (line_of(step, event) + "\n").encode("utf-8", "backslashreplace")
            self._file.write(line)
            self._file.flush()
            if self._file.tell() >= self._part:
                os.fsync(self._file.fileno())
                self._file.close()
                close_part(self.path)
                self._file = self.path.open("ab")
        except (OSError, ValueError) as error:
            raise RecordLost(f"Cannot write {type(event).__name__} to {self.path}: {error}.") from error
        self._written += len(line)
        self._digest.update(line)

    def mark(self) -> Cursor:
        """How far the record has got, once all of that is forced onto the disk."""
        try:
            os.fsync(self._file.fileno())
        except (OSError, ValueError) as error:
            raise RecordLost(f"Cannot write {self.path} to the disk: {error}.") from error
        return Cursor(self._written, self._digest.hexdigest())

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise RecordLost(f"Cannot finish {self.path}: {error.strerror}.") from error


def line_of(step: int, event: Event) -> str:
    """One event as one line of JSON: `step`, `event` (its class) and its fields."""
    row = {"step": step, "event": type(event).__name__, **encode(event)}
    return json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def read_events(path: Path | str) -> list[tuple[int, Event]]:
    """All events of a record with their steps, as `events_in` gives them."""
    return list(events_in(Path(path)))


def events_in(path: Path) -> Iterator[tuple[int, Event]]:
    """The events of a record with their steps, one by one; a torn last line, left by a crash, is passed over.

    Raises FileNotFoundError where there is no record, ValueError with file and line where a line is not an event.
    """
    for part in parts_of(path) or [path]:
        yield from _lines(part)


def begins_with(path: Path, cursor: Cursor) -> bool:
    """Whether a record still begins with what it held when this was taken."""
    try:
        written, digest = digest_of(path, cursor.bytes)
    except (OSError, ValueError):
        return False
    return Cursor(written, digest.hexdigest()) == cursor


def truncate_to(path: Path, cursor: Cursor) -> None:
    """Cut a record to what it held when this was taken, so that a resumed run goes on from there.

    Raises ValueError where the record does not begin with that.
    """
    if not begins_with(path, cursor):
        raise ValueError(f"{path} does not begin with the {cursor.bytes:,} bytes that it held then: it was changed.")
    cut(path, cursor.bytes)


def _lines(path: Path) -> Iterator[tuple[int, Event]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = parsed(line)
                yield decode(int, row["step"]), decode(KINDS[row["event"]], row)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}, line {number} is not an event of this version of lifelong ({error!r:.200}): "
                    f"{line[:80]!r}. Restore the file, or delete that line."
                ) from error
