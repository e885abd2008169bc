"""When a checkpoint is due, where it goes, and which ones are kept."""

from __future__ import annotations

import os
import time
import warnings
from contextlib import suppress

from lifelong.checkpoint import CheckpointError, Mark, Noted, checkpoints_in, read_checkpoint, save_checkpoint
from lifelong.facts import device_of
from lifelong.health import Health
from lifelong.learner import Agent
from lifelong.record.folder import RunFolder
from lifelong.record.journal import Journal
from lifelong.record.jsonl import EventLog
from lifelong.record.operations import Operations
from lifelong.saving import Saving
from lifelong.stopping import RunStopped, Stop
from lifelong.stream import Live, Stream

PATIENCE = 99.0
"""How many times as long as a save took nothing is saved after it: at most 1 % of the time goes there."""


class Stopwatch:
    """The seconds that a run has taken, over all attempts, and those of the CPU."""

    def __init__(self, before: Mark) -> None:
        self._began = time.perf_counter() - before.seconds, cpu_clock() - before.cpu_seconds

    def at(self, step: int) -> Mark:
        return Mark(step, time.perf_counter() - self._began[0], cpu_clock() - self._began[1])


class Saver:
    """Called after each experience; saves when that is due, and ends the run when it is asked to.

    A checkpoint that cannot be written is warned of and tried again when the next one is due: the run goes on, as long
    as its record does. Raises RunStopped where `stop` was asked for, once everything is saved, and OSError where that
    cannot be.
    """

    def __init__(
        self,
        folder: RunFolder,
        learner: Agent,
        stream: Stream,
        journal: Journal,
        health: Health,
        log: EventLog,
        watch: Stopwatch,
        saving: Saving,
        stop: Stop,
    ) -> None:
        self._folder, self._learner, self._stream = folder, learner, stream
        self._journal, self._health, self._log, self._watch = journal, health, log, watch
        self._saving, self._stop = saving, stop
        self._operations = Operations(folder.operations)
        self._pause = float("inf") if saving.minutes is None else 60.0 * saving.minutes
        self._due, self._worth = time.monotonic() + self._pause, 0.0
        self._saved: int | None = None

    def after(self, step: int, last: bool, worth: bool = False) -> None:
        """So many experiences were learned, and judged where that was due. last: there are no more.

        worth: it would be a pity to lose them: where time counts, none is waited for but what saving itself asks for.
        May be called again without another experience, where one is waited for.
        """
        every = self._saving.every
        stopped = self._stop.asked is not None
        since = self._worth if worth and self._pause < float("inf") else self._due
        due = time.monotonic() >= since or (every is not None and step > 0 and step % every == 0)
        if stopped:
            self._save(step)
        elif last or (due and step != self._saved):
            try:
                self._save(step)
            except OSError as error:
                self._operations.note("not saved", step, str(error))
                if last:
                    raise OSError(
                        f"all {step:,} experiences are learned, and the last checkpoint cannot be saved ({error}). "
                        f"Make room, and go on with: lifelong resume {self._folder.path}"
                    ) from error
                warnings.warn(
                    f"no checkpoint could be saved after {step:,} experiences ({error}): the run goes on, and tries "
                    "again when another one is due",
                    stacklevel=2,
                )
                self._due = self._worth = time.monotonic() + self._pause
        if stopped and not last:
            self._operations.note("stopped", step, self._stop.asked or "")
            raise RunStopped(self._stop.asked or "", step, self._folder.path)

    def put_back(self) -> int | None:
        """Put the learner alone back to its newest checkpoint that is whole; after how many experiences that was.

        None: there is none yet.
        """
        for path in checkpoints_in(self._folder.checkpoints):
            with suppress(CheckpointError):
                checkpoint = read_checkpoint(path, self._stream, device_of(self._stream))
                self._learner.load_state_dict(checkpoint.kept["learner"])
                return checkpoint.mark.step
        return None

    def _save(self, step: int) -> None:
        began = time.monotonic()
        # What is pending is settled before the record is measured: settling publishes nothing.
        pending = {"journal": self._journal.state_dict(), "health": self._health.state_dict()}
        noted = Noted(self._log.mark(), pending)
        place = self._folder.checkpoints
        path = save_checkpoint(place, self._watch.at(step), self._learner, self._stream, noted)
        for old in checkpoints_in(place)[self._saving.keep :]:
            old.unlink(missing_ok=True)
        self._saved = step
        if isinstance(self._stream, Live):
            self._stream.acknowledge()
        took = time.monotonic() - began
        self._operations.note("saved", step, f"{path.name}, {path.stat().st_size:,} bytes in {took:.3f} s")
        self._worth = time.monotonic() + PATIENCE * took
        self._due = max(time.monotonic() + self._pause, self._worth)


class Unsaved:
    """Called after each experience of a run without a folder: nothing is saved, and it ends when it is asked to."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def after(self, step: int, last: bool, worth: bool = False) -> None:
        """Raises RunStopped where `stop` was asked for and there is more."""
        if self._stop.asked is not None and not last:
            raise RunStopped(self._stop.asked, step, None)

    def put_back(self) -> int | None:
        """There is nothing to go back to."""
        return None


def cpu_clock() -> float:
    """Processor seconds of this process, of all its threads and of the children that it waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
