"""MNIST in five pairs of classes where nobody tells when a task ends: experts, and methods that find out themselves.

python -m benchmarks.split_mnist_hidden [--quick] [--json FILE]
"""

from __future__ import annotations

import sys

from benchmarks.harness import Table, arguments, data_folder, finish, rounded, summary_of

SEPARATE = ("agent.share=never",)
RUNS = (
    ("class-incremental", "flagship", "split_mnist.yaml", "agent", ()),
    ("class-incremental", "finetune", "split_mnist.yaml", "reference", ()),
    ("task-incremental", "flagship, shared trunk", "split_mnist_task.yaml", "agent", ()),
    ("task-incremental", "flagship, separate", "split_mnist_task.yaml", "agent", SEPARATE),
    ("task-incremental", "finetune", "split_mnist_task.yaml", "reference", ()),
)


def main() -> None:
    options = arguments(__doc__)
    if data_folder() is None:
        sys.exit("skipped: there is no real MNIST here (set LIFELONG_DATA to a folder that holds mnist/).")
    table = Table(
        "scenario", "agent", "seed", "ACC", "BWT", "learning", "experts", "parameters", "found", "false", "routing"
    )
    for seed in range(1 if options.quick else 3):
        for scenario, name, config, agent, overrides in RUNS:
            s = summary_of(config, seed, *overrides, agent=agent)
            scores = [rounded(value) for value in (s.acc, s.bwt, s.learning_accuracy)]
            found = f"{s.shifts_detected - s.false_alarms} of {s.shifts_true}"
            table.add(
                scenario,
                name,
                seed,
                *scores,
                s.experts,
                s.parameters,
                found,
                s.false_alarms,
                rounded(s.routing_accuracy),
            )
    finish(table, options)


if __name__ == "__main__":
    main()
