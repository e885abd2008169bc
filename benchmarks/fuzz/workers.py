"""Cases in processes of their own, so that one that hangs, crashes or fills the memory takes nothing else with it."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from benchmarks.fuzz.trial import Hang, Outcome, Try, attempt


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one case: seconds, bytes of memory beyond what the process has already, bytes of a file that it may write."""

    seconds: float = 10.0
    memory: int = 3 << 30
    file: int = 1 << 28


GRACE = 10.0
"""Seconds after which a case that does not even notice that its time is up is killed."""


def outcomes(
    tried: Try, family: str, numbers: Sequence[int], seed: int, place: Path, jobs: int, limits: Limits
) -> Iterator[Outcome]:
    """Each case's outcome, as they come. A worker that dies is replaced, and its case is bad."""
    shares = [list(numbers[job::jobs]) for job in range(jobs)]
    workers = [
        _Worker(tried, family, share, seed, place / f"worker-{job}", limits)
        for job, share in enumerate(shares)
        if share
    ]
    while workers:
        ready, _, _ = select.select(workers, [], [], 0.5)
        for worker in list(workers):
            if worker in ready:
                yield from worker.read()
            elif worker.is_late():
                yield worker.kill("hang: it had to be killed")
            if worker.is_done:
                workers.remove(worker)


class _Worker:
    """A child process that goes through its cases and tells of each, before it and after it, by a line of JSON."""

    def __init__(self, tried: Try, family: str, numbers: list[int], seed: int, place: Path, limits: Limits) -> None:
        self._tried, self._family, self._seed, self._place, self._limits = tried, family, seed, place, limits
        self._left = deque(numbers)
        self._begun: int | None = None
        place.mkdir(parents=True, exist_ok=True)
        self._begin()

    @property
    def is_done(self) -> bool:
        return not self._left and self._begun is None

    def fileno(self) -> int:
        return self._pipe

    def is_late(self) -> bool:
        return self._begun is not None and time.monotonic() > self._since + self._limits.seconds + GRACE

    def read(self) -> Iterator[Outcome]:
        part = os.read(self._pipe, 1 << 16)
        if not part:
            status = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
            if self._begun is not None or self._left:
                yield self._lost(f"the process died ({status})")
            return
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            row = json.loads(line)
            if "began" in row:
                self._begun, self._since = self._left.popleft(), time.monotonic()
            else:
                self._begun = None
                yield Outcome(**row)
        if self.is_done:
            os.waitpid(self._child, 0)

    def kill(self, why: str) -> Outcome:
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        return self._lost(why)

    def _lost(self, why: str) -> Outcome:
        number = self._left.popleft() if self._begun is None else self._begun
        self._begun = None
        os.close(self._pipe)
        if self._left:
            self._begin()
        return Outcome(number, "bad", why)

    def _begin(self) -> None:
        self._rest, self._since = b"", time.monotonic()
        self._pipe, end = os.pipe()
        sys.stdout.flush()
        self._child = os.fork()
        if self._child:
            os.close(end)
            return
        try:
            self._live(end)
        finally:
            os._exit(0)

    def _live(self, end: int) -> None:
        silence = os.open(os.devnull, os.O_RDWR)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.chdir(self._place)
        limit(self._limits)
        for number in self._left:
            os.write(end, json.dumps({"began": number}).encode() + b"\n")
            with within(self._limits.seconds):
                found = attempt(self._tried, self._family, number, self._seed, self._place)
            os.write(end, json.dumps(asdict(found)).encode() + b"\n")


def limit(limits: Limits) -> None:
    """Hold this process, for good, to so much memory and to files of such a size."""
    there = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_AS, there + limits.memory),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError):
            resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Inside, a Hang is raised once so many seconds have passed."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
