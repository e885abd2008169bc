"""A file of JSON lines that others append to, read as it grows; and standard input."""

from __future__ import annotations

import hashlib
import os
import re
import select
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from lifelong.source import Message, SourceLost

LINE = 16 << 20
"""Bytes of the longest line that is read whole; of a longer one the rest is passed over, and it says nothing."""

TAIL = 4096
"""Bytes of the end of a line whose digest tells whether the file is still the one that it was."""

ROTATED = re.compile(r"(\.\d+|-\d{8}([T-]?\d+)?)$")
"""How files are called that had another's name before."""

MOMENT = 0.05
"""Seconds between two looks at a file that has not grown."""

READ = 1 << 16


class _Lines:
    """Cuts bytes into lines as they come; a line that is not ended yet waits."""

    def __init__(self) -> None:
        self._rest, self._dropped = b"", 0

    def cut(self, more: bytes) -> list[tuple[bytes, int]]:
        """The lines that are whole by now, with what ends them, and how many bytes they were before they were cut."""
        *whole, self._rest = (self._rest + more).split(b"\n")
        found = [(line + b"\n", len(line) + 1) for line in whole]
        if found and self._dropped:
            found[0] = found[0][0], found[0][1] + self._dropped
            self._dropped = 0
        if len(self._rest) > LINE:
            # Its end is lost, so that it is no JSON.
            self._dropped += len(self._rest) - LINE
            self._rest = self._rest[:LINE]
        return found

    def last(self) -> list[tuple[bytes, int]]:
        """What was not ended, where nothing more will come."""
        rest, dropped = self._rest, self._dropped
        self._rest, self._dropped = b"", 0
        return [(rest, len(rest) + dropped)] if rest else []


class Jsonl:
    """The lines of a file, from its first on. A position is a number of bytes, and a digest of the line before it.

    follow: wait for lines that are appended, for ever (false: the stream ends with the file). Where the file is given
    another name and a new one takes its place, as is done with logs (messages.jsonl.1, messages.jsonl-20260131), the
    rest of the old one is read, then what came between, and then the new one; a run that goes on looks for its place
    in all of them. Raises FileNotFoundError where there is nothing to read and nothing is waited for, ValueError where
    a run goes on and none of the files is what it was.
    """

    def __init__(self, path: str, follow: bool = True) -> None:
        self.path, self.follow = Path(path), follow
        self._file: BinaryIO | None = None
        self._lines, self._read, self._ready = _Lines(), 0, list[Message]()
        self._seen = b""

    def begin(self, after: str | None) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._ready = None, []
        self._next(None)
        if after is not None:
            self._go_back(after)
        elif not self.path.is_file():
            if not self.follow or self.path.exists():
                raise FileNotFoundError(f"There is no file {self.path} to read messages from: give the path of one.")
            warnings.warn(f"There is no file {self.path} yet: waiting for it.", stacklevel=2)

    def _go_back(self, after: str) -> None:
        """Open the file that a position is in, behind it."""
        offset, length, digest = after.split()
        for path in [self.path, *reversed(self._rotated())]:
            if not path.is_file():
                continue
            file = path.open("rb")
            file.seek(max(int(offset) - int(length), 0))
            self._seen = file.read(int(length))
            if _digest(self._seen) == digest and file.tell() == int(offset):
                self._file, self._read = file, int(offset)
                return
            file.close()
        raise ValueError(
            f"{self.path} is another file than it was, and so are those with a number or date behind its name: the "
            f"line that was read last does not end at byte {int(offset):,} in any. Put the old one beside it, as "
            f"{self.path.name}.1, until it is read to its end."
        )

    def _next(self, path: Path | None) -> None:
        """Go on with the begin of another file."""
        if self._file is not None:
            self._file.close()
        self._file = None if path is None else path.open("rb")
        self._lines, self._read, self._seen = _Lines(), 0, b""

    def _rotated(self) -> list[Path]:
        """Files that had this name before, the oldest first."""
        found = [one for one in self.path.parent.glob(f"{self.path.name}[.-]*") if ROTATED.search(one.name)]
        return sorted(found, key=lambda one: one.stat().st_mtime_ns)

    def take(self, limit: int, wait: float) -> Sequence[Message] | None:
        until = time.monotonic() + wait
        while not self._ready:
            if self._more():
                continue
            if not self.follow:
                self._add(self._lines.last())
                return self._give(limit) or None
            if time.monotonic() >= until:
                return []
            time.sleep(MOMENT)
        return self._give(limit)

    def acknowledge(self, position: str) -> None:
        """Nobody asks: the file stays as it is."""

    def _give(self, limit: int) -> list[Message]:
        given, self._ready = self._ready[:limit], self._ready[limit:]
        return given

    def _more(self) -> bool:
        """Read on; whether there was anything."""
        try:
            if self._file is None:
                if not self.path.exists():
                    return False
                self._next(self.path)
            assert self._file is not None
            # Before it is found to be at its end, so that nothing is left unread that was written before the change.
            follower = self._follower()
            self._must_be_the_same()
            more = self._file.read(READ)
            if more:
                self._seen = (self._seen + more)[-TAIL:]
                self._add(self._lines.cut(more))
                return True
            if follower is None:
                return False
            self._add(self._lines.last())
            self._next(follower)
            return True
        except SourceLost:
            raise
        except OSError as error:
            raise SourceLost(f"{self.path} cannot be read any more: {error.strerror}") from error

    def _must_be_the_same(self) -> None:
        """What was read is still there: a file may be cut, and written anew, under the same name."""
        assert self._file is not None
        place = self._file.tell()
        self._file.seek(place - len(self._seen))
        if self._file.read(len(self._seen)) != self._seen:
            raise SourceLost(
                f"{self.path} was cut or written anew while it was read, and what was in it may be lost: write a new "
                "file and give it this name instead (of logrotate: create, not copytruncate)"
            )

    def _follower(self) -> Path | None:
        """The file that comes after the one that is read; None: this is the newest."""
        assert self._file is not None
        mine = os.fstat(self._file.fileno())
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return None
        if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
            return None
        between = [one for one in self._rotated() if one.stat().st_ino != mine.st_ino]
        return next((one for one in between if one.stat().st_mtime_ns > mine.st_mtime_ns), self.path)

    def _add(self, lines: list[tuple[bytes, int]]) -> None:
        for line, length in lines:
            self._read += length
            # Of a line that was cut the end is not known.
            tail = line[-TAIL:] if length == len(line) else b""
            if line.strip():
                position = f"{self._read} {len(tail)} {_digest(tail)}"
                self._ready.append(Message(position, _text(line)))


class Stdin:
    """The lines of standard input, until it ends. A position is the number of lines.

    What was read cannot be read again: after a stop, whoever writes goes on after the last message that was learned,
    or sends again what has an `id` and may be known already.
    """

    def __init__(self) -> None:
        self._lines, self._count, self._ready, self._ended = _Lines(), 0, list[Message](), False

    def begin(self, after: str | None) -> None:
        self._count = int(after or 0)
        if after is not None:
            print(
                f"lifelong: {after} lines of standard input are learned or kept already: send what comes after them.",
                file=sys.stderr,
            )

    def take(self, limit: int, wait: float) -> Sequence[Message] | None:
        until = time.monotonic() + wait
        while not self._ready:
            if self._ended:
                return None
            readable, _, _ = select.select([sys.stdin.fileno()], [], [], max(until - time.monotonic(), 0))
            if not readable:
                return []
            more = os.read(sys.stdin.fileno(), READ)
            self._ended = not more
            for line, _ in self._lines.cut(more) if more else self._lines.last():
                self._count += 1
                if line.strip():
                    self._ready.append(Message(str(self._count), _text(line)))
        given, self._ready = self._ready[:limit], self._ready[limit:]
        return given

    def acknowledge(self, position: str) -> None:
        """Nobody asks: what was read is gone."""


def _digest(tail: bytes) -> str:
    return hashlib.sha256(tail).hexdigest()[:16]


def _text(line: bytes) -> str:
    # Some editors put a mark before the first line.
    return line.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r\n")
