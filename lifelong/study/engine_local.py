"""Cells in processes of this machine, each of which lives through one cell after the other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from lifelong.exits import STOPPED
from lifelong.stopping import RunStopped
from lifelong.study.engine import Ended, Started
from lifelong.study.job import Job, attempt, failed

PATIENCE = 20.0
"""Seconds that a process has to save its cell and end in when it is asked to."""


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    line: Connection
    number: int
    place: int = -1


class LocalEngine:
    """Runs cells in `jobs` processes, which share the GPUs between them. What they print is added to the file `log`."""

    def __init__(self, jobs: int, gpus: tuple[str, ...], log: Path) -> None:
        if jobs < 1:
            raise ValueError(f"At least one cell must run at a time, got --jobs {jobs}.")
        self._jobs, self._gpus, self._log = jobs, gpus, log

    @property
    def jobs(self) -> int:
        return self._jobs

    def run(self, jobs: Sequence[Job]) -> Generator[Started | Ended, None, None]:
        left = deque(range(len(jobs)))
        workers: list[_Worker] = []
        try:
            # One by one, so that those that did start are ended where another does not.
            for number in range(min(self._jobs, len(jobs))):
                workers += [self._start(number)]
            while True:
                for worker in workers:
                    if worker.place < 0 and left:
                        worker.place = left.popleft()
                        with suppress(BrokenPipeError):
                            # One that is dead already is found below.
                            worker.line.send(jobs[worker.place])
                        yield Started(worker.place)
                busy = {worker.line: worker for worker in workers if worker.place >= 0}
                if not busy:
                    return
                for line in wait(list(busy)):
                    assert isinstance(line, Connection)
                    worker = busy[line]
                    place, worker.place = worker.place, -1
                    try:
                        error = line.recv()
                    except (EOFError, ConnectionError):
                        error = failed(Path(jobs[place].out), _death(worker), f"What it said last is in {self._log}.")
                        workers.remove(worker)
                        if left:
                            workers.append(self._start(worker.number))
                    yield Ended(place, error)
        finally:
            _end(workers)

    def _start(self, number: int) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(theirs, str(self._log)), name=f"lifelong-study-{number}", daemon=False
        )
        gpu = {"CUDA_VISIBLE_DEVICES": self._gpus[number % len(self._gpus)]} if self._gpus else {}
        # Before the first import, because libraries read these once. More threads are a matter of the configuration.
        with _environment({"OMP_NUM_THREADS": "1"} | gpu):
            process.start()
        theirs.close()
        return _Worker(process, ours, number)


def _work(line: Connection, log: str) -> None:
    """A worker's life: cell after cell, until the line is closed."""
    # Ctrl-C reaches all processes of a terminal; the one that was started by hand ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(log, "a", buffering=1, encoding="utf-8") as file:
        sys.stdout.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _warm_up()
    with suppress(EOFError, ConnectionError):
        while True:
            try:
                answer = attempt(line.recv())
            except RunStopped:
                sys.exit(STOPPED)
            line.send(answer)


def _warm_up() -> None:
    """What torch loads at the first step of an optimizer takes a second, which is no cost of the first cell."""
    import torch

    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.ones(1)
    torch.optim.Adam([weight]).step()


def _end_with_parent() -> None:
    """No cell may go on when the study is gone: the next one would run it a second time in the same folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _death(worker: _Worker) -> str:
    worker.process.join(PATIENCE)
    code = worker.process.exitcode or 0
    if code == STOPPED:
        return "The process of this cell was asked to stop, and has saved it: it goes on with the same command."
    if code >= 0:
        return f"The process of this cell ended without a word (exit code {code})."
    name = signal.Signals(-code).name
    hint = " Was there too little memory? Try fewer --jobs." if name == "SIGKILL" else ""
    return f"The process of this cell was ended by {name}.{hint}"


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        # Those at rest leave by themselves, and let others write what they still hold.
        worker.line.close()
        if worker.place >= 0:
            worker.process.terminate()
    for worker in workers:
        worker.process.join(PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
