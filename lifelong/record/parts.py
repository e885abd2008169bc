"""A file that grows for years, in parts: `events.jsonl` is the newest, `events-000001.jsonl` the oldest.

Where the parts end depends on what is written alone, so that two equal records lie in equal files.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from lifelong.record.disk import settle_names

PART = 64 << 20
"""Bytes after which a part is closed: some millions of experiences."""

CHUNK = 1 << 20


def parts_of(path: Path) -> list[Path]:
    """The files that hold what was written to `path`, oldest first; none where there is nothing.

    Raises ValueError where one is missing between others.
    """
    named = re.compile(rf"{re.escape(path.stem)}-(\d{{6,}}){re.escape(path.suffix)}")
    found = {int(match[1]): one for one in path.parent.glob(f"{path.stem}-*") if (match := named.fullmatch(one.name))}
    missing = [number for number in range(1, max(found, default=0)) if number not in found]
    if missing:
        raise ValueError(
            f"{path.parent} holds parts of {path.name} up to {max(found)}, but not {_closed(path, missing[0]).name}: "
            "put it back."
        )
    return [*(found[number] for number in sorted(found)), *([path] if path.exists() else [])]


def close_part(path: Path) -> None:
    """Give the newest part its number; what comes next begins a new one."""
    number = sum(part != path for part in parts_of(path)) + 1
    path.rename(_closed(path, number))
    settle_names(path.parent)


def digest_of(path: Path, limit: int | None = None) -> tuple[int, hashlib._Hash]:
    """How many bytes there are in all parts together, `limit` at most, and the SHA-256 of these."""
    digest, read = hashlib.sha256(), 0
    for part in parts_of(path):
        with part.open("rb") as file:
            while some := file.read(CHUNK if limit is None else min(CHUNK, limit - read)):
                digest.update(some)
                read += len(some)
    return read, digest


def cut(path: Path, length: int) -> None:
    """Keep the first so many bytes, in the parts in which they were when they were all that there was.

    At any moment what is left begins with them, so that this can be done again where it was interrupted.
    """
    parts = parts_of(path)
    for place, part in enumerate(parts):
        # A closed part was full: what came after it began the next one.
        if part == path or length < part.stat().st_size:
            for later in reversed(parts[place + 1 :]):
                later.unlink()
            if part != path:
                part.rename(path)
            os.truncate(path, length)
            break
        length -= part.stat().st_size
    path.touch()
    settle_names(path.parent)


def _closed(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number:06d}{path.suffix}")
