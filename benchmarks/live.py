"""A stream from Redis while the server and the learner are killed: what is lost, and what is learned twice.

python -m benchmarks.live [--quick] [--json FILE] [--seed N]

A writer sends samples to a Redis server that has everything on the disk before it answers; the labels of a fourth of
them follow later, one in twenty is sent twice. `lifelong run ... --resume auto` learns from them. The server and the
learner are killed (SIGKILL) at random times, and started again. In the end the learner, which remembers every sample
that it was taught, is asked; and its record is held against that of a life on the same messages without a kill.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Table, finish, parser
from benchmarks.live_rig import Counting, Server, later, said
from lifelong.checkpoint import checkpoints_in, read_checkpoint
from lifelong.record.jsonl import read_events

CONFIG = """stream:
  name: live
  source: {{name: redis, key: in, url: "{url}"}}
  inputs: [2]
  classes: 3
  batch_size: 8
  limit: {limit}
agent: benchmarks.live_rig:Counting
evaluation: {{every: 100}}
record: {{wandb: disabled, console: false, report: false, checkpoint_every: 50}}
"""


def messages(count: int, chance: random.Random) -> list[str]:
    texts, owed = list[str](), list[str]()
    for number in range(count):
        follows = chance.random() < 0.25
        texts += [said(number, not follows)] * (2 if chance.random() < 0.05 else 1)
        if follows:
            owed.append(later(number))
        if owed and chance.random() < 0.2:
            texts.append(owed.pop(0))
    return texts + owed


def command(config: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "lifelong", "run", str(config), "--out", str(out), "--resume", "auto"]


def killed(server: Server, texts: list[str], config: Path, out: Path, kills: int, chance: random.Random) -> list[float]:
    """Live through the messages as they are sent, while both sides are killed so often; the seconds between kills."""
    writer = threading.Thread(target=server.send, args=(texts,))
    writer.start()
    env, pauses, ended = os.environ | {"OMP_NUM_THREADS": "1"}, [], 0
    learner = subprocess.Popen(command(config, out), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while learner.poll() is None or ended < kills:
        if learner.poll() is None and ended < kills:
            pause = chance.uniform(0.2, 4.0)
            time.sleep(pause)
            pauses.append(pause)
            ended += 1
            if ended % 3 == 0:
                server.kill()
                time.sleep(0.3)
                server.start()
                continue
            learner.send_signal(signal.SIGKILL)
            learner.wait()
        elif learner.poll() is not None and learner.returncode == 0:
            break
        else:
            time.sleep(0.05)
            if learner.poll() is None:
                continue
        if learner.poll() not in (None, 0):
            learner = subprocess.Popen(
                command(config, out), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
    assert learner.wait() == 0
    writer.join()
    return pauses


def learned_in(out: Path) -> list[int]:
    learner = Counting()
    read_checkpoint(checkpoints_in(out / "checkpoints")[0], None, "cpu").restore(learner)
    return learner.learned


def main(arguments: Sequence[str] | None = None) -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--seed", type=int, default=0)
    options: argparse.Namespace = options_of.parse_args(arguments)
    count, kills = (1_600, 3) if options.quick else (40_000, 30)
    chance = random.Random(options.seed)
    texts = messages(count, chance)
    table = Table("messages", "samples", "kills", "lost", "learned twice", "the same record", "acknowledged", "s")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "redis").mkdir()
        server = Server(folder / "redis")
        try:
            config = folder / "live.yaml"
            config.write_text(CONFIG.format(url=server.url, limit=count // 8))
            began = time.monotonic()
            pauses = killed(server, texts, config, folder / "torn", kills, chance)
            took = time.monotonic() - began
            subprocess.run(command(config, folder / "whole"), check=True, stdout=subprocess.DEVNULL)
            torn, whole = ((folder / name / "events.jsonl").read_bytes() for name in ("torn", "whole"))
            counts = Counter(learned_in(folder / "torn"))
            last = server.client().xinfo_groups("in")[0]["last-delivered-id"]
            entries = server.client().xlen("in")
            safe = server.client().xlen("in") - len(server.client().xrange("in", min=b"(" + last))
        finally:
            server.kill()
        assert read_events(folder / "torn" / "events.jsonl")
    lost, twice = count - len(counts), sum(times > 1 for times in counts.values())
    row = f"{entries:,}", f"{count:,}", len(pauses), lost, twice, "yes" if torn == whole else "NO"
    table.add(*row, f"{safe:,}", f"{took:.0f}")
    finish(table, options)
    if lost or twice or torn != whole:
        print(json.dumps({"lost": sorted(set(range(count)) - set(counts))[:20], "pauses": pauses}))
        raise SystemExit(1)


if __name__ == "__main__":
    main()
