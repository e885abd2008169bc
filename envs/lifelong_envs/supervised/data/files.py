"""Finding and reading a file that the user named, plain or gzip-compressed."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from pathlib import Path


def expanded(path: Path) -> Path:
    """`path` with ~ and $VARIABLES filled in. Raises ValueError naming a variable that is not set."""
    filled = os.path.expandvars(os.path.expanduser(path))
    if "$" in filled:
        raise ValueError(f"{path}: an environment variable in this path is not set (what is left: {filled}).")
    return Path(filled)


def existing_file(path: Path) -> Path:
    """The file that `path` means, expanded. Where it is missing, a ValueError lists what lies beside it."""
    found = expanded(path)
    if not found.is_file():
        raise ValueError(f"There is no file {found}. {listing(found.parent)}")
    return found


def listing(folder: Path) -> str:
    """One sentence about what `folder` holds, for an error about what it does not hold."""
    if not folder.is_dir():
        return f"The folder {folder} does not exist either."
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"The folder {folder} has: {', '.join(names[:20]) + more if names else 'nothing'}."


LIKELY = 150
"""Times its size on the disk that data may unpack to; what is made to fill a memory unpacks to two hundred and more."""

SMALL = 1 << 28
"""Bytes that may be unpacked in any case."""


def is_bomb(packed: int, unpacked: int) -> bool:
    """Whether nothing that is data unpacks to so many bytes."""
    return unpacked > SMALL and unpacked > LIKELY * packed


def read_bytes(path: Path) -> bytes:
    """The content of `path`, unpacked where its name ends in .gz. Raises ValueError where it is damaged or a bomb."""
    raw = path.read_bytes()
    if path.suffix != ".gz":
        return raw
    whole = io.BytesIO()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
            while part := packed.read(1 << 22):
                whole.write(part)
                if is_bomb(len(raw), whole.tell()):
                    break
            else:
                return whole.getvalue()
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path} is cut short or damaged ({error}; {len(raw)} bytes on disk). Fetch the file again."
        ) from error
    raise ValueError(
        f"{path} has {len(raw):,} bytes and unpacks to more than {LIKELY} times as many, as no data do. Fetch the file "
        "again, or unpack it yourself if this is meant."
    )


def stem(path: Path) -> str:
    """The file's name without its endings: `data.csv.gz` -> `data`."""
    return path.name.split(".")[0]
