"""What a life takes in memory as it goes on: the resident set, from its first experiences to its last.

python -m benchmarks.endless [--quick] [--json FILE] [--experiences N] [--agent NAME]

Two worlds of random samples in turn, 100,000 experiences of 4 samples each, one thread; all of the record is written to
a folder. `MB` is the resident set when so many experiences were learned; `highest since` is what it came to at most
between that row and the one before; the last row is after the report was drawn.
"""

from __future__ import annotations

import argparse
import gc
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.harness import Table, finish, parser
from lifelong.config import load_config
from lifelong.events import Event
from lifelong.experience import Batch, Truth
from lifelong.lifetime import run
from lifelong.objective import Classification, Contract
from lifelong.stream import Segment, Task

PAGE = resource.getpagesize()
VISIT, MADE, SAMPLES, FEATURES, CLASSES = 100_000, 1_024, 4, 16, 4
SETTINGS = {
    "flagship": "agent={name: flagship, network: {name: mlp, hidden: [16]}}",
    "finetune": "agent={name: finetune, network: {name: mlp, hidden: [8]}, optimizer: {name: sgd, lr: 0.1}}",
    "replay": "agent={name: er, network: {name: mlp, hidden: [8]}}",
    "persistence": "agent=persistence",
}


class TwoWorlds:
    """The same batches over and over: what is new is only that time goes on."""

    name = "two worlds"

    def __init__(self, experiences: int) -> None:
        generator = torch.Generator().manual_seed(0)
        contract = Contract((FEATURES,), CLASSES, Classification())
        means = torch.randn(CLASSES, FEATURES, generator=generator)
        self._batches: list[list[Batch]] = []
        tasks = []
        for world in range(2):
            turned = means[:, torch.randperm(FEATURES, generator=generator)]
            labels = torch.randint(CLASSES, (MADE + 64, SAMPLES), generator=generator)
            inputs = turned[labels] + 0.5 * torch.randn(*labels.shape, FEATURES, generator=generator)
            pairs = list(zip(inputs, labels, strict=True))
            self._batches.append([Batch(x, y, contract) for x, y in pairs[:MADE]])
            tasks.append(Task("AB"[world], contract, inputs[MADE:].flatten(0, 1), labels[MADE:].flatten()))
        self.tasks = tuple(tasks)
        visits = -(-experiences // VISIT)
        lengths = [min(VISIT, experiences - VISIT * visit) for visit in range(visits)]
        self.segments = tuple(Segment("AB"[visit % 2], length) for visit, length in enumerate(lengths))

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        first = 0
        for number, segment in enumerate(self.segments):
            batches, truth = self._batches[number % 2], Truth(segment.task, number)
            for step in range(max(start, first), first + segment.steps):
                yield batches[step % MADE], truth
            first += segment.steps


def resident() -> float:
    """Megabytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


class Scale:
    """Weighs the process now and then, while a run goes on."""

    def __init__(self, marks: Sequence[int], table: Table) -> None:
        self._marks, self._table = list(marks), table
        self._began, self._highest, self._looked = time.process_time(), 0.0, 0

    def on(self, step: int, event: Event) -> None:
        if step - self._looked >= 1_000:
            self._looked, self._highest = step, max(self._highest, resident())
        if self._marks and step >= self._marks[0]:
            self.row(f"{self._marks.pop(0):,}", step)

    def row(self, name: str, step: int) -> None:
        gc.collect()
        each = 1e6 * (time.process_time() - self._began) / max(step, 1)
        now = resident()
        self._table.add(name, f"{now:.1f}", f"{max(now, self._highest):.1f}", f"{each:.0f}")
        self._highest = 0.0

    def close(self) -> None:
        """Nothing is pending."""


def main(arguments: Sequence[str] | None = None) -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--experiences", type=int, default=None)
    options_of.add_argument("--agent", choices=sorted(SETTINGS), default="persistence")
    options: argparse.Namespace = options_of.parse_args(arguments)
    torch.set_num_threads(1)
    experiences = options.experiences or (20_000 if options.quick else 10_000_000)
    table = Table("experiences", "MB", "highest since", "us of the CPU each")
    marks = sorted({max(1, experiences * share // 1_000) for share in (5, 10, 50, 100, 250, 500, 750, 1_000)})
    scale = Scale(marks, table)
    config = Path(__file__).resolve().parents[1] / "configs" / "digits.yaml"
    study = load_config(config, [SETTINGS[options.agent], "reference=null"]).build()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        result = run(
            TwoWorlds(experiences), study.agent.build(), out=out, subscribers=[scale], evaluation=study.schedule
        )
        scale.row("and the report", experiences)
        record = sum(path.stat().st_size for path in out.glob("events*.jsonl")) / 1e6
        print(f"{options.agent}: ACC {result.summary.acc:.3f}, {result.summary.experts} experts, "
              f"{result.summary.shifts_detected} shifts found of {result.summary.shifts_true}, "
              f"{record:.1f} MB of record in {len(list(out.glob('events*.jsonl')))} parts, "
              f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.1f} MB at most")  # fmt: skip
    finish(table, options)


if __name__ == "__main__":
    main()
