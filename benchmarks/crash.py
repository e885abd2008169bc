"""Lives that are killed (SIGKILL) again and again, at random times, and gone on with: what is different in the end?

python -m benchmarks.crash [--quick] [--json FILE] [--kills N] [--rl N] [--seed N]

Each life runs in processes of its own, by the command line. It is killed after a random time, gone on with by
`--resume auto`, and so on until it ends; then its events.jsonl is held against that of the same life without a kill:
byte by byte, and event by event (lost: there and not here; again: here more often than there). Half of the lives save
after every third experience, so that many kills fall into a save; the others by the clock.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.harness import CONFIGS, Table, finish, parser
from lifelong.cli import main as command
from lifelong.exits import OK

DIGITS = (
    "stream.timetable.order=A B A C",
    "stream.timetable.epochs=6",
    "evaluation.within=2",
    "reference=null",
)
SUPERVISED = {
    "replay and EWC": ("agent={name: retain, retention: [{name: er, capacity: 200}, {name: ewc, strength: 30}]}",),
    "DER++ and SI, ends shown": (
        "agent={name: retain, retention: [{name: der, capacity: 200}, {name: si}]}",
        "stream.scenario.boundaries=shown",
    ),
    "experts": ("agent={name: flagship, share: never, drift_every: 50}",),
    "experts on one subspace": ("agent={name: flagship, share: always}",),
    "subspaces alone": ("agent={name: gpm, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}}",),
}
SMALL = "policy_kwargs: {net_arch: [16]}"
ACTING = {
    "PPO": (
        "rl/cartpole_flip.yaml",
        "stream.timetable={order: A B A, steps: 3072, lanes: 8, experience: 256, change: now}",
        f"agent={{name: lifelong_rl, algorithm: ppo, look: 64, settings: {{n_steps: 32, batch_size: 64, {SMALL}}}}}",
    ),
    "SAC": (
        "rl/worlds.yaml",
        "stream={name: worlds, worlds: [{task: up, env: Pendulum-v1}, {task: fast, env: Pendulum-v1, set: {dt: x3}}], "
        "timetable: {order: up fast up, steps: 1536, lanes: 8, experience: 128, change: now}, episodes: 1}",
        "agent={name: lifelong_rl, algorithm: sac, look: 64, settings: {buffer_size: 2000, batch_size: 32, "
        f"learning_starts: 100, train_freq: 16, gradient_steps: 1, {SMALL}}}}}",
    ),
}
ALWAYS = ("record.wandb=disabled", "record.report=false", "record.console=false", "record.frames=false")
SAVING = (("record.checkpoint_every=3", "record.checkpoint_minutes=null"), ("record.checkpoint_minutes=0.0005",))
MOST = 5
"""Kills of one life, after which it is left in peace: several lives of each kind, saved in both ways."""


@dataclass(frozen=True, slots=True)
class Life:
    """What is lived: its name, and the words of the command line."""

    name: str
    words: tuple[str, ...]

    def begin(self, out: Path, saving: Sequence[str]) -> int:
        """Live it, or go on with it, in a process of its own; returns the process's number."""
        words = ["run", *self.words, *ALWAYS, *saving, "--out", str(out), "--resume", "auto"]
        child = os.fork()
        if child == 0:
            code = 1
            try:
                silence = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silence, 1)
                os.dup2(os.open(out.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
                code = command(words)
            finally:
                os._exit(code)
        return child


def lives(which: str) -> list[Life]:
    if which == "supervised":
        return [Life(name, (str(CONFIGS / "digits.yaml"), *DIGITS, *words)) for name, words in SUPERVISED.items()]
    return [
        Life(name, (str(CONFIGS / config), *words, "reference=null", "evaluation.within=0"))
        for name, (config, *words) in ACTING.items()
    ]


def compare(life: Life, kills: int, place: Path, draw: random.Random, table: Table) -> None:
    """Live it once in peace, then again and again under fire until so many kills have hit."""
    began = time.monotonic()
    whole = place / "whole"
    _wait(life.begin(whole, ()), whole)
    length = time.monotonic() - began
    wanted = (whole / "events.jsonl").read_bytes()
    hit = attempts = bad = lost = again = in_saves = 0
    while hit < kills:
        out = place / f"life-{attempts}"
        saving = SAVING[attempts % 2]
        attempts += 1
        struck = 0
        while True:
            child = life.begin(out, saving)
            # The first seconds of each attempt reads and restores; a kill there is as good as any.
            if struck < MOST and hit < kills and _killed(child, draw.uniform(0.05, 0.9 * length)):
                struck, hit = struck + 1, hit + 1
                in_saves += any((out / "checkpoints").glob("*.pending"))
                continue
            if struck >= MOST or hit >= kills:
                _wait(child, out)
            break
        found = (out / "events.jsonl").read_bytes()
        bad += found != wanted
        here, there = Counter(found.splitlines()), Counter(wanted.splitlines())
        lost, again = lost + (there - here).total(), again + (here - there).total()
        print(f"{life.name}: {struck} kills, {'the same' if found == wanted else 'DIFFERENT'}", flush=True)
    table.add(life.name, attempts, hit, in_saves, len(wanted.splitlines()), attempts - bad, lost, again)


def _killed(child: int, after: float) -> bool:
    """Whether it was still alive so many seconds later, and is killed now. Raises RuntimeError where it failed."""
    until = time.monotonic() + after
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.waitstatus_to_exitcode(status) != OK:
                raise RuntimeError(f"A life ended by itself with code {os.waitstatus_to_exitcode(status)}.")
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _wait(child: int, out: Path) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != OK:
        raise RuntimeError(f"A life ended with code {code}: {out.with_suffix('.err').read_text()[-2000:]}")


def main(arguments: Sequence[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--kills", type=int, metavar="N", help="of supervised lives (100; quick: 10)")
    made.add_argument("--rl", type=int, metavar="N", help="of lives that act (20; quick: 4)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of the times of the kills (0)")
    options: argparse.Namespace = made.parse_args(arguments)
    wanted = {
        "supervised": options.kills if options.kills is not None else 10 if options.quick else 100,
        "acting": options.rl if options.rl is not None else 4 if options.quick else 20,
    }
    torch.set_num_threads(1)
    # Once here and not in each process: a fork finds it loaded.
    import stable_baselines3  # noqa: F401

    import lifelong.runs  # noqa: F401

    table = Table("life", "lives", "kills", "in a save", "events", "the same bytes", "lost", "again")
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        for which, kills in wanted.items():
            some = lives(which)
            for number, life in enumerate(some):
                share = kills * (number + 1) // len(some) - kills * number // len(some)
                if share:
                    place = Path(folder) / which / str(number)
                    place.mkdir(parents=True)
                    compare(life, share, place, draw, table)
    finish(table, options)
    if any(row[6] or row[7] or row[5] != row[1] for row in table.rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
