"""What a checkpoint costs: its size beside the numbers that it holds, and the time that goes there in a run.

python -m benchmarks.checkpoint_cost [--quick] [--json FILE]

Agents live through a stream, and are then saved several times. `of a minute` is the share of the time that saving takes
where a checkpoint is saved once a minute, or after 99 times as long as the last one took: at most 1 % by construction.
`measured` is that share in the run itself, from the first experience to the last, with the checkpoint at its end.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.harness import CONFIGS, Table, finish, parser
from lifelong.checkpoint import Mark, save_checkpoint
from lifelong.config import load_config
from lifelong.lifetime import run
from lifelong.saver import PATIENCE

LIVES = {
    "fine-tuning": ("digits.yaml", "agent=finetune", "agent.network={name: mlp, hidden: [100, 100]}"),
    "experts": ("digits.yaml", "agent={name: flagship, share: never}"),
    "experts on one subspace": ("digits.yaml", "agent={name: flagship, share: always}"),
    "replay of 1,000": ("digits.yaml", "agent={name: retain, retention: [{name: er, capacity: 1000}]}"),
    "EWC and SI": ("digits.yaml", "agent={name: retain, retention: [ewc, si]}"),
    "a wide network": ("digits.yaml", "agent={name: finetune, network: {name: mlp, hidden: [2000, 2000]}}"),
    "PPO": ("rl/cartpole_flip.yaml", "stream.timetable.steps=4096"),
    "SAC, 20,000 transitions": (
        "rl/worlds.yaml",
        "stream={name: worlds, worlds: [{task: up, env: Pendulum-v1}], "
        "timetable: {order: up, steps: 4096, lanes: 8, experience: 256}, episodes: 1}",
        "agent={name: lifelong_rl, algorithm: sac, settings: {buffer_size: 20000, train_freq: 64}}",
    ),
}


def numbers_in(state: Any) -> int:
    """Bytes of all tensors and byte strings in a state, each storage once."""
    seen: dict[int, int] = {}
    rest = 0

    def walk(value: Any) -> None:
        nonlocal rest
        if torch.is_tensor(value):
            seen[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, (list, tuple, set)):
            for item in value:
                walk(item)
        elif hasattr(value, "__dataclass_fields__"):
            for name in value.__dataclass_fields__:
                walk(getattr(value, name))
        elif isinstance(value, (bytes, str)):
            rest += len(value)
        else:
            rest += 8

    walk(state)
    return sum(seen.values()) + rest


def measure(name: str, words: Sequence[str], repeats: int, table: Table) -> None:
    config, *overrides = words
    study = load_config(CONFIGS / config, [*overrides, "reference=null", "evaluation.within=0"]).build()
    learner = study.agent.build()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        began = time.perf_counter()
        run(study.stream, learner, out=out, evaluation=study.schedule, report=False, frames=False)
        lived = time.perf_counter() - began
        took = []
        for _ in range(repeats):
            began = time.perf_counter()
            path = save_checkpoint(Path(folder), Mark(1, 0.0), learner, study.stream)
            took.append(time.perf_counter() - began)
            size = path.stat().st_size
    held = numbers_in(learner.state_dict())
    once = median(took)
    share = once / max(60.0, PATIENCE * once)
    row = f"{size / 1e6:.3f}", f"{held / 1e6:.3f}", f"{size / held:.2f}", f"{1000 * once:.1f}"
    table.add(name, *row, f"{100 * share:.3f} %", f"{100 * once / lived:.2f} %", f"{lived:.1f}")


def main(arguments: Sequence[str] | None = None) -> None:
    options: argparse.Namespace = parser(__doc__).parse_args(arguments)
    torch.set_num_threads(1)
    table = Table("agent", "MB on the disk", "MB held", "ratio", "ms a save", "of a minute", "measured", "s of the run")
    for name, words in list(LIVES.items())[: 3 if options.quick else None]:
        measure(name, words, 5 if options.quick else 20, table)
    finish(table, options)


if __name__ == "__main__":
    main()
