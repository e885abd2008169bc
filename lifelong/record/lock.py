"""One process at a time in a folder: a lock that the system takes back when the process dies, however it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


def is_text(name: str) -> bool:
    """Whether a file's name can be written into another file: on some systems, any bytes are a name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def alone_in(folder: Path, others: str, again: bool = False) -> Iterator[None]:
    """Inside, no other process is at work here; the folder is made, and removed where that fails and nothing is in it.

    others: the beginning of what is said where another process is at work. again: this process may be in here already.
    Raises FileExistsError where another one is, OSError where the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    if not is_text(str(folder)):
        raise ValueError(
            f"{folder} is no text (UTF-8), so that its name cannot be written down: choose another folder."
        )
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, not a folder: choose another one.")
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, is_singleton=again)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FileExistsError(f"{others} in {folder}: wait for it, end it, or choose another folder.") from None
    try:
        yield
    except BaseException:
        lock.release()
        if not lock.is_locked:
            # What fails leaves nothing behind; who succeeds leaves the file, so as not to remove another's lock.
            with suppress(OSError):
                (folder / LOCK).unlink(missing_ok=True)
                if is_new:
                    # Where anything has come into it, this fails.
                    folder.rmdir()
        raise
    lock.release()
