"""Worlds that are close to each other, or fade into each other, and come back: is any of them lost?

python -m benchmarks.recurring [--quick] [--json FILE] [--seeds 0 1 2]

Flagship and fine-tuning with their default settings (Adam, 1e-3), on digits and, where there is the data folder, MNIST.
`15 degrees apart`: four worlds, each turned by 15 degrees more than the last, A B C A B D A, 300 batches of 32 a visit,
changes at once. `ramps`: A B A C A, 600 batches a visit, of which the first 200 fade from one world into the next.
`least` is the accuracy at the end on the task that is known worst.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.agnostic import images, table_of
from benchmarks.harness import Table, finish, parser
from lifelong.evaluation.schedule import Schedule
from lifelong.evaluation.summary import Summary
from lifelong.learner import Learner
from lifelong.lifetime import run
from lifelong.optimizer import Optimizer
from lifelong.stream import Stream
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_envs.supervised.data import DataSource, Digits
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated

ADAM = Optimizer("adam", lr=1e-3)
Make = Callable[[DataSource, int], Stream]

STREAMS: dict[str, Make] = {
    "15 degrees apart": lambda data, seed: rotated(
        data, table_of(data, 300, "A B C A B D A", 1), angles=[0, 15, 30, 45], seed=seed
    ),
    "ramps, rotated by 45": lambda data, seed: rotated(
        data, table_of(data, 600, "A B A C A", 1, ramp=200), angles=[0, 45, 90], seed=seed
    ),
    "ramps, permuted": lambda data, seed: permuted(data, table_of(data, 600, "A B A C A", 1, ramp=200), seed=seed),
}


def summary_after(stream: Stream, learner: Learner, seed: int) -> tuple[Summary, float]:
    """The run's summary, and the score of the task that is known worst at its end."""
    result = run(stream, learner, seed=seed, evaluation=Schedule(within=0))
    return result.summary, float(np.nanmin(result.matrix.scores[-1]))


def main() -> None:
    options_parser = parser(__doc__)
    options_parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = options_parser.parse_args()
    torch.set_num_threads(1)
    sources: dict[str, DataSource] = {"digits": Digits()} if options.quick else images()
    table = Table(
        "data", "stream", "seed", "ACC", "least", "forgetting", "experts", "missed", "false", "fine-tuned ACC"
    )
    for data, source in sources.items():
        for kind, make in STREAMS.items():
            for seed in options.seeds[:1] if options.quick else options.seeds:
                ours, least = summary_after(make(source, seed), flagship(optimizer=ADAM, seed=seed), seed)
                naive, _ = summary_after(make(source, seed), Finetune(optimizer=ADAM, seed=seed), seed)
                shares = [round(100 * (value or 0.0), 1) for value in (ours.acc, least, ours.forgetting, naive.acc)]
                table.add(data, kind, seed, *shares[:3], ours.experts, ours.missed_shifts, ours.false_alarms, shares[3])
                print(table.rows[-1], flush=True)
    finish(table, options)


if __name__ == "__main__":
    main()
