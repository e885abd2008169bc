"""One process at a time in a folder: a lock that the system takes back when the process dies, however it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path, others: str) -> Iterator[None]:
    """Inside, no other process is at work here; the folder is made, and removed again where nothing came into it.

    A process may enter several times. others: the beginning of what is said where another process is at work. Raises
    FileExistsError then, and OSError where the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, not a folder: choose another one.")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FileExistsError(f"{others} in {folder}: wait for it, end it, or choose another folder.") from None
    try:
        yield
    finally:
        lock.release()
        if is_new and folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK}:
            with suppress(OSError):
                (folder / LOCK).unlink(missing_ok=True)
                folder.rmdir()
