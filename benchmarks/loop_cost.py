"""What the framework costs per step, against a bare hand-written torch loop on in-memory tensors.

python -m benchmarks.loop_cost [--quick] [--json FILE]

Same model (MLP 784-100-100-10), batches and optimizer; one thread; runs of both kinds interleaved; CPU time of the
whole process from the first batch to the last record written, as the median over rounds of ours / bare.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.harness import Table, arguments, finish
from lifelong.evaluation.schedule import Schedule
from lifelong.events import Event, RunFinished
from lifelong.experience import Batch, Truth
from lifelong.learner import Learner
from lifelong.lifetime import run
from lifelong.optimizer import Optimizer
from lifelong.record.console import ConsoleView
from lifelong.record.wandb_sink import WandbSink
from lifelong.stream import Segment, Stream, Task
from lifelong_agents.finetune import Finetune
from lifelong_agents.flagship import flagship
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable

SAMPLES = 20_000
OPTIMIZERS = {"sgd": Optimizer(name="sgd", lr=0.01), "adam": Optimizer(name="adam", lr=1e-3)}
GOALS = {("finetune", 10): 1.15, ("finetune", 128): 1.05, ("flagship", 10): 1.4, ("flagship", 128): 1.15}


class Clock:
    """Starts with the stream's first batch and stops when the end of the run is on record."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self.seconds, self._began = stream, 0.0, 0.0
        self.name, self.tasks, self.segments = stream.name, stream.tasks, stream.segments

    name: str
    tasks: tuple[Task, ...]
    segments: tuple[Segment, ...]

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        self._began = time.process_time()
        return self._stream.experiences(start)

    def on(self, step: int, event: Event) -> None:
        if isinstance(event, RunFinished):
            self.seconds = time.process_time() - self._began

    def close(self) -> None:
        """Nothing is pending."""


def ours(make: Callable[[], Learner], data: Arrays, batch: int, epochs: int) -> float:
    stream = permuted(data, Timetable(batch_size=batch, epochs=epochs), tasks=1)
    clock = Clock(stream)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        watchers = [ConsoleView(), WandbSink(mode="offline", folder=out), clock]
        run(clock, make(), out=out, evaluation=Schedule(within=0), subscribers=watchers)
    return clock.seconds


def bare(data: Arrays, batch: int, epochs: int, settings: Optimizer) -> float:
    inputs, targets = torch.as_tensor(data.train_inputs), torch.as_tensor(data.train_targets)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
    optimizer = settings.over(model.parameters())
    began = time.process_time()
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(batch):
            loss = F.cross_entropy(model(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.process_time() - began


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(SAMPLES, 784, generator=generator)
    # Learnable labels: with pure noise the loss would not behave as a loss does.
    targets = (inputs[:, :200] @ torch.randn(200, 10, generator=generator)).argmax(1)
    data = Arrays(inputs, targets, inputs[:50], targets[:50])
    rounds = 3 if options.quick else 9
    table = Table("agent", "optimizer", "batch", "bare us/step", "ours us/step", "ratio", "goal", "met")
    for batch, epochs in ((10, 1), (128, 6)):
        steps = -(-SAMPLES // batch) * epochs
        for kind, settings in OPTIMIZERS.items():
            agents: dict[str, Callable[[], Learner]] = {
                "finetune": lambda settings=settings: Finetune(optimizer=settings),  # type: ignore[misc]
                "flagship": lambda settings=settings: flagship(optimizer=settings),  # type: ignore[misc]
            }
            ratios: dict[str, list[float]] = {name: [] for name in agents}
            bares: list[float] = []
            bare(data, batch, 1, settings)
            for _ in range(rounds):
                for name, make in agents.items():
                    before = bare(data, batch, epochs, settings)
                    took = ours(make, data, batch, epochs)
                    after = bare(data, batch, epochs, settings)
                    bares.append((before + after) / 2)
                    ratios[name].append(took / bares[-1])
            for name, found in ratios.items():
                ratio, goal = statistics.median(found), GOALS[name, batch]
                base = statistics.median(bares) / steps * 1e6
                table.add(
                    name, kind, batch, round(base, 1), round(base * ratio, 1), round(ratio, 3), goal, ratio <= goal
                )
    finish(table, options)


if __name__ == "__main__":
    main()
