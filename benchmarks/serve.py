"""How long a run keeps those waiting who ask it while it learns: latencies under an even load, and without learning.

python -m benchmarks.serve [--quick] [--json FILE] [--rate N] [--seconds S] [--wide]

A run with an MLP on digits goes on and on in one process and saves often; `lifelong serve` has a core of its own; the
load comes from a third process that shares the other core with the run. It asks one sample at a time, over connections
that are kept, at times that are fixed beforehand. A latency is counted from that time, whether the request could be
sent then or not: who waits for a slow answer is not spared the ones behind it. `asked late`: by how much the load
itself was behind its times, for want of a processor. `learned`: how much further the run was in the last answer than in
the first. The second row is the same once the run has been stopped. --wide: networks of 2 x 2,000 units, whose
checkpoints take long to load (with --rate 50, for their answers take longer, too).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import torch

from benchmarks.harness import CONFIGS, Table, finish, parser
from lifelong.checkpoint import checkpoints_in
from lifelong.config import load_config

RATE, SECONDS, QUICK = 200, 30.0, 5.0
CONNECTIONS = 32
HARD, PATIENCE = 10.0, 120.0
"""Seconds after which a request has failed; seconds that processes are given to be ready or to end."""

RUN = (
    "reference=null",
    f"stream.timetable.order={' '.join(['A B C A D'] * 1000)}",
    "agent.share=never",
    "evaluation.within=0",
    "record={wandb: disabled, console: false, report: false, checkpoint_minutes: null, checkpoint_every: 200}",
)
WIDE = ("agent.network={name: mlp, hidden: [2000, 2000]}", "agent.max_experts=2")
PINNED = "import os, sys; {pin}; from lifelong.cli import main; sys.exit(main(sys.argv[1:]))"


@dataclass(slots=True)
class Load:
    """What came back: seconds from the time at which each request was due, what failed, which checkpoints answered.

    late: seconds by which this process itself was too late to hand a request to a connection.
    """

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    steps: set[int] = field(default_factory=set)
    late: list[float] = field(default_factory=list)
    took: float = 0.0


async def ask(port: int, bodies: Sequence[bytes], rate: int, seconds: float) -> Load:
    """Ask at an even rate, from as many connections as there are requests at a time."""
    found, due = Load(), asyncio.Queue[tuple[float, bytes] | None]()
    askers = [asyncio.create_task(_keep_asking(port, due, found)) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for number in range(round(rate * seconds)):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        found.late.append(max(0.0, time.perf_counter() - at))
        due.put_nowait((at, bodies[number % len(bodies)]))
    for _ in askers:
        due.put_nowait(None)
    await asyncio.gather(*askers)
    found.took = time.perf_counter() - began
    return found


async def _keep_asking(port: int, due: asyncio.Queue[tuple[float, bytes] | None], found: Load) -> None:
    pair = None
    while (item := await due.get()) is not None:
        at, body = item
        try:
            async with asyncio.timeout(HARD):
                pair = pair or await asyncio.open_connection("127.0.0.1", port)
                status, said = await _request(*pair, body)
            if status != 200:
                raise OSError(f"status {status}")
            found.steps.add(said["checkpoint"]["step"])
            found.seconds.append(time.perf_counter() - at)
        except (OSError, EOFError, TimeoutError, ValueError):
            found.errors += 1
            if pair is not None:
                pair[1].close()
            pair = None
    if pair is not None:
        pair[1].close()


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
) -> tuple[int, dict[str, dict[str, int]]]:
    writer.write(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = re.search(r"content-length: (\d+)", head)
    if length is None:
        raise ValueError(f"no length in {head!r}")
    return int(head.split()[1]), json.loads(await reader.readexactly(int(length[1])))


@contextmanager
def _running(words: Sequence[str], core: int | None, err: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command line in a process of its own, on one core; it is stopped in the end."""
    pin = "None" if core is None else f"os.sched_setaffinity(0, {{{core}}})"
    with err.open("wb") as file:
        command = [sys.executable, "-c", PINNED.format(pin=pin), *words]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _until_it_says(process: subprocess.Popen[bytes], err: Path, pattern: str) -> str:
    """What a process writes that fits the pattern. Raises RuntimeError where it ends, or takes too long."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        if found := re.search(pattern, err.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"The server is not ready: {err.read_text(encoding='utf-8')[-2000:]}")


def measure(place: Path, rate: int, seconds: float, words: Sequence[str], table: Table) -> None:
    """The load with the training on, and then without."""
    config = str(CONFIGS / "digits.yaml")
    stream = load_config(config, RUN).build().stream
    samples = torch.cat([task.test_inputs[:50].flatten(1) for task in stream.tasks])  # type: ignore[union-attr]
    bodies = [json.dumps({"inputs": [sample]}).encode() for sample in samples.tolist()]
    with _cores() as (own, other):
        run, log = place / "run", place / "serve.err"
        with (
            _running(["run", config, *RUN, *words, "--out", str(run)], other, place / "run.err") as training,
            _ready(run, training, place / "run.err"),
            _running(["serve", str(run), "--port", "0"], own, log) as serving,
        ):
            port = int(_until_it_says(serving, log, r"on http://127\.0\.0\.1:(\d+)"))
            _until_it_says(serving, log, r"answers come from (\S+)")
            asyncio.run(ask(port, bodies, rate, 1.0))
            for goes_on in (True, False):
                if not goes_on:
                    _stop(training)
                    _until_served(port, checkpoints_in(run / "checkpoints")[0])
                elif training.poll() is not None:
                    raise RuntimeError(f"The run has ended: {(place / 'run.err').read_text(encoding='utf-8')[-2000:]}")
                found = asyncio.run(ask(port, bodies, rate, seconds))
                table.add("on" if goes_on else "off", rate, *_row(found))


@contextmanager
def _ready(run: Path, training: subprocess.Popen[bytes], err: Path) -> Iterator[None]:
    until = time.monotonic() + PATIENCE
    while not any((run / "checkpoints").glob("step-*.pt")):
        if training.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"The run has no checkpoint: {err.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(0.05)
    yield


def _until_served(port: int, newest: Path) -> None:
    """What was saved last is loaded before the clock begins again."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with urlopen(f"http://127.0.0.1:{port}/") as said:
            if json.load(said)["checkpoint"]["name"] == newest.name:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{newest} is not served.")


def _row(found: Load) -> tuple[object, ...]:
    learned = max(found.steps, default=0) - min(found.steps, default=0)
    times = _ms(found.seconds, 0.5), _ms(found.seconds, 0.99), _ms(found.seconds, 1.0), _ms(found.late, 0.99)
    return f"{len(found.seconds) / found.took:.1f}", *times, found.errors, len(found.steps), learned


def _ms(seconds: Sequence[float], share: float) -> str:
    """Milliseconds that this share of all stays within."""
    if not seconds:
        return "none"
    return f"{1000 * sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]:.1f}"


@contextmanager
def _cores() -> Iterator[tuple[int | None, int | None]]:
    """A core for the server and one for the rest, this process too; None where the system does not let one choose."""
    if not hasattr(os, "sched_setaffinity"):
        yield None, None
        return
    before = os.sched_getaffinity(0)
    own, other = sorted(before)[0], sorted(before)[-1]
    os.sched_setaffinity(0, {other})
    try:
        yield own, other
    finally:
        os.sched_setaffinity(0, before)


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--rate", type=int, default=RATE, metavar="N", help=f"requests a second ({RATE})")
    made.add_argument("--seconds", type=float, metavar="S", help=f"of each measurement ({SECONDS:g}; quick: {QUICK:g})")
    made.add_argument("--wide", action="store_true", help="networks whose checkpoints take long to load")
    options: argparse.Namespace = made.parse_args(arguments)
    torch.set_num_threads(1)
    seconds = options.seconds or (QUICK if options.quick else SECONDS)
    times = "p50 ms", "p99 ms", "max ms", "asked late (p99 ms)"
    table = Table("training", "asked/s", "answered/s", *times, "errors", "checkpoints", "learned")
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.rate, seconds, WIDE if options.wide else (), table)
    finish(table, options)


if __name__ == "__main__":
    main()
