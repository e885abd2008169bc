"""Ten permutations of MNIST, one epoch each, hidden boundaries: flagship, GPM in one network, naive fine-tuning.

python -m benchmarks.pmnist10 [--quick] [--json FILE]
"""

from __future__ import annotations

import sys
import time

from benchmarks.harness import Table, arguments, data_folder, finish, rounded, summary_of

# The second naive agent learns with GPM's batches, network and optimizer.
RUNS = (
    ("pmnist10.yaml", "agent"),
    ("pmnist10.yaml", "reference"),
    ("pmnist10_gpm.yaml", "agent"),
    ("pmnist10_gpm.yaml", "reference"),
)


def main() -> None:
    options = arguments(__doc__)
    if data_folder() is None:
        sys.exit("skipped: there is no real MNIST here (set LIFELONG_DATA to a folder that holds mnist/).")
    table = Table(
        "config", "agent", "seed", "ACC", "BWT", "learning", "prequential", "experts", "parameters", "found", "false",
        "delay", "routing", "CPU s",
    )  # fmt: skip
    for seed in range(1 if options.quick else 3):
        for config, agent in RUNS:
            began = time.process_time()
            s = summary_of(config, seed, agent=agent)
            took = round(time.process_time() - began)
            scores = [rounded(value) for value in (s.acc, s.bwt, s.learning_accuracy, s.prequential_accuracy)]
            shifts = [f"{s.shifts_detected - s.false_alarms} of {s.shifts_true}", s.false_alarms]
            delay, routing = rounded(s.detection_delay), rounded(s.routing_accuracy)
            table.add(config, s.agent, seed, *scores, s.experts, s.parameters, *shifts, delay, routing, took)
    finish(table, options)


if __name__ == "__main__":
    main()
