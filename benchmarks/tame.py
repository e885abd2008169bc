"""TAME, its published numbers and the flagship: permuted MNIST 20 and split MNIST 5, nothing told, judged at the end.

python -m benchmarks.tame [--quick] [--json FILE] [--seeds N ...] [--epochs N] [--only CONFIG ...] [--agents AGENT ...]

`ACC` asks for the class itself. `within` asks, as the published number does, only for the class's place within its own
world (0 or 1 for a pair of digits): who is sent to the wrong expert is right half of the time. --epochs: of each task
(the configurations have the published ten). --quick: seed 0, one epoch. `parameters`: every number but zero that it
takes to answer, with what the router remembers of each world, or the selector that it trains; stored samples are not
counted, as in the paper: TAME keeps 11,000, the flagship none for permutations and 11,000 for pairs of digits.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass

import torch

from benchmarks.harness import CONFIGS, Table, data_folder, finish, parser
from lifelong.config import load_config
from lifelong.evaluation.shifts import ShiftReport, match_shifts, true_shifts
from lifelong.events import ShiftDetected, Update
from lifelong.experience import Query
from lifelong.learner import Learner
from lifelong.lifelong_learner import LifelongLearner
from lifelong.pruning import footprint
from lifelong.routing.trained import Named
from lifelong.stream import Stream, Task


@dataclass(frozen=True, slots=True)
class Study:
    """A configuration, the classes that each of its worlds has, and what the paper reports for it."""

    config: str
    classes: int
    published: float
    published_parameters: str


STUDIES = (
    Study("tame_split_mnist5.yaml", 2, 98.63, "37.0K"),
    Study("tame_pmnist20.yaml", 10, 87.32, "55.5K"),
)


@dataclass(frozen=True, slots=True)
class Lived:
    """What a run leaves: how the shifts were found, and which expert learned most of each task."""

    shifts: ShiftReport
    owners: dict[str, int]


def main() -> None:
    options = _options()
    folder = data_folder()
    if folder is None:
        sys.exit("skipped: there is no real MNIST here (set LIFELONG_DATA to a folder that holds mnist/).")
    os.environ["LIFELONG_DATA"] = str(folder)
    torch.set_num_threads(1)
    table = Table(
        "config", "agent", "seed", "epochs", "ACC %", "within %", "selector %", "experts", "parameters", "found",
        "missed", "false", "CPU s",
    )  # fmt: skip
    for study in STUDIES:
        if options.only and study.config not in options.only:
            continue
        table.add(
            study.config, "TAME", "published", 10, "", study.published, "", "", study.published_parameters, *[""] * 4
        )
        for seed in [0] if options.quick else options.seeds:
            for agent in options.agents:
                row = _row(study, agent, seed, 1 if options.quick else options.epochs)
                table.add(study.config, agent, seed, *row)
                print(table.rows[-1], flush=True)
    finish(table, options)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    made.add_argument("--epochs", type=int, default=10)
    made.add_argument("--agents", nargs="+", default=["tame", "flagship"], choices=["tame", "flagship"])
    made.add_argument("--only", nargs="+", metavar="CONFIG")
    return made.parse_args()


def _row(study: Study, agent: str, seed: int, epochs: int) -> tuple[object, ...]:
    built = load_config(CONFIGS / study.config, [f"seed={seed}", f"stream.timetable.epochs={epochs}"]).build()
    plan = built.agent if agent == "tame" else built.reference
    assert plan is not None
    learner = plan.build()
    assert isinstance(learner, Learner)
    began = time.process_time()
    torch.manual_seed(seed)
    lived = _live(built.stream, learner)
    scores = [_judge(learner, task, study.classes, lived.owners[task.name]) for task in built.stream.tasks]
    means = [round(100 * sum(column) / len(scores), 2) for column in zip(*scores, strict=True)]
    took, size, shifts = round(time.process_time() - began), learner.size(), lived.shifts
    found = f"{shifts.hits} of {shifts.true}"
    numbers = size.nonzero if not isinstance(learner, LifelongLearner) else _numbers(learner)
    return (epochs, *means, size.experts, numbers, found, shifts.missed, shifts.false_alarms, took)


def _numbers(learner: LifelongLearner) -> int:
    """Numbers but zero of all experts, and of what finds them."""
    made = learner._dispatcher._made
    if made is not None and isinstance(made[1], Named):
        finding = footprint(made[1].selector).nonzero
    else:
        stretches = [stretch for expert in learner._pool.experts for stretch in expert.stretches]
        finding = sum(tensor.numel() for stretch in stretches for tensor in stretch.description.values())
    return (learner.size().nonzero or 0) + finding


def _live(stream: Stream, learner: Learner) -> Lived:
    """The stream without a look at the learner in between: each would train a selector that is thrown away."""
    detected: list[int] = []
    learned: Counter[tuple[str, int]] = Counter()
    step = 0
    for batch, truth in stream.experiences():
        step += 1
        for fact in learner.learn(batch):
            if isinstance(fact, Update):
                learned[truth.task, fact.expert] += 1
            elif isinstance(fact, ShiftDetected):
                detected.append(step)
    names, starts, at = [], [], 0
    for segment in stream.segments:
        names.append(segment.task)
        starts.append(at)
        at += segment.steps
    owners = {
        task.name: max((count, expert) for (name, expert), count in learned.items() if name == task.name)[1]
        for task in stream.tasks
    }
    return Lived(match_shifts(true_shifts(names, starts), detected, step), owners)


@torch.no_grad()
def _judge(learner: Learner, task: Task, classes: int, owner: int) -> tuple[float, float, float]:
    """Shares of the task's test samples with the right class, the right place within its world, the right expert."""
    right = torch.zeros(3, dtype=torch.float64)
    for inputs, targets in zip(task.test_inputs.split(2048), task.test_targets.split(2048), strict=True):
        answer = learner.predict(Query(inputs, task.contract))
        said = answer.outputs.argmax(1)
        right[0] += (said == targets).sum()
        right[1] += (said % classes == targets % classes).sum()
        right[2] += (answer.experts == owner).sum()
    exact, within, routed = (right / len(task.test_targets)).tolist()
    return exact, within, routed


if __name__ == "__main__":
    main()
