"""Stopping in good order: a signal asks, the run finishes what it is at, saves, and leaves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any


class RunStopped(Exception):
    """A run was asked to stop, and everything is saved in its folder, if any. why: what asked, such as SIGTERM."""

    def __init__(self, why: str, step: int, folder: Path | None) -> None:
        self.why, self.step, self.folder = why, step, folder
        saved = (
            "with nothing saved, as it has no folder (out)."
            if folder is None
            else f"with everything saved. Go on with: lifelong resume {folder}"
        )
        super().__init__(f"stopped by {why} after {step:,} experiences, {saved}")


class GridStopped(Exception):
    """Many runs were asked to stop, and those that were on their way are saved. why: what asked, such as SIGTERM."""

    def __init__(self, why: str) -> None:
        super().__init__(f"stopped by {why}, with all runs saved. Go on with the same command.")


@dataclass(slots=True)
class Stop:
    """Whether somebody has asked to stop, and what: None, or a word such as SIGTERM."""

    asked: str | None = None


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Inside, SIGTERM and SIGUSR1 raise GridStopped, wherever the main thread is: for who only waits for others."""

    def end(number: int, frame: FrameType | None) -> None:
        raise GridStopped(signal.Signals(number).name)

    with on_signals(("SIGTERM", "SIGUSR1"), end):
        try:
            yield
        except RunStopped as stopped:
            # One of them was at work in this very process.
            raise GridStopped(stopped.why) from None


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Inside, SIGTERM, SIGINT and SIGUSR1 ask to stop; a second SIGINT stops at once, as KeyboardInterrupt.

    Outside of the main thread, where no signal can be handled, nobody asks.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.asked = signal.Signals(number).name

    with on_signals(("SIGTERM", "SIGINT", "SIGUSR1"), ask):
        yield stop


@contextmanager
def on_signals(names: Sequence[str], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Inside, these signals call `handler`, where there are any of that name and this is the main thread."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
            # What a parent has this process ignore stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
