"""What the framework costs per step, against a bare hand-written torch loop on in-memory tensors.

python -m benchmarks.loop_cost [--quick] [--json FILE]

Same model (MLP 784-100-100-10) from the same first weights, batches and optimizer; one thread; the record as it is by
default: console, JSONL, Weights & Biases offline. Both loops run in one process and take turns of a hundred steps, so
that whatever else the machine does hits both alike. CPU time: the bare loop has its thread's, ours all the rest of the
process's from the first batch to the last record written, background threads included. The ratio is the median
over rounds, with the lowest and the highest. The first five turns of
both, in which a process meets everything for the first time, do not count, nor does judging on test samples, which the
bare loop does not do.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Table, arguments, finish
from lifelong.assembly import Assembly
from lifelong.evaluation.schedule import Schedule
from lifelong.events import Event, RunFinished
from lifelong.experience import Batch, Prediction, Query, Truth
from lifelong.learner import Learner
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.record.console import ConsoleView
from lifelong.record.subscriber import Subscriber
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


CONTRACT = Contract((784,), 10, Classification())
TURN, WARM_UP = 100, 5
"""Steps of one loop before it is the other's turn, and turns that warm up."""


class Bare:
    """The loop that one writes by hand, a few steps at a time."""

    def __init__(self, data: Arrays, batch: int, settings: Optimizer) -> None:
        self._inputs, self._targets = torch.as_tensor(data.train_inputs), torch.as_tensor(data.train_targets)
        self._batch = batch
        self._order: Iterator[Tensor] = iter(())
        self._model = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
        # The same first weights: with other ones, other units die, and arithmetic on vanishing moments is slow.
        first = Assembly(Mlp(), 0, "cpu")
        first.grow(CONTRACT, "only")
        with torch.no_grad():
            for mine, theirs in zip(self._model.parameters(), first.lane_parameters("only"), strict=True):
                mine.copy_(theirs)
        self._optimizer = settings.over(self._model.parameters())
        self.steps, self.seconds = 0, 0.0

    def turn(self) -> None:
        """TURN steps."""
        began = time.thread_time()
        left = TURN
        while left:
            for rows in self._order:
                loss = F.cross_entropy(self._model(self._inputs[rows]), self._targets[rows])
                self._optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
                left -= 1
                if not left:
                    break
            else:
                order = torch.randperm(len(self._inputs))
                self._order = iter(order.split(self._batch))  # type: ignore[no-untyped-call]
        self.seconds += time.thread_time() - began
        self.steps += TURN


class Judged:
    """A learner whose time for answering is known."""

    def __init__(self, inner: Learner) -> None:
        self._predict, self.seconds = inner.predict, 0.0
        self.learn, self.size = inner.learn, inner.size
        self.state_dict, self.load_state_dict = inner.state_dict, inner.load_state_dict

    def predict(self, query: Query) -> Prediction:
        began = time.process_time()
        answer = self._predict(query)
        self.seconds += time.process_time() - began
        return answer


class TakingTurns:
    """A stream that lets the bare loop have its turn now and then, and a watch that stops when all is on record."""

    def __init__(self, stream: Stream, bare: Bare, judged: Judged) -> None:
        self._stream, self._bare, self._judged, self._began = stream, bare, judged, 0.0
        self.seconds, self.steps = 0.0, 0

    @property
    def name(self) -> str:
        return self._stream.name

    @property
    def tasks(self) -> Sequence[Task]:
        return self._stream.tasks

    @property
    def segments(self) -> Sequence[Segment]:
        return self._stream.segments

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        self._judged.seconds = 0.0
        self._began = time.process_time()
        for step, served in enumerate(self._stream.experiences(start)):
            if step == TURN * WARM_UP:
                self._bare.steps, self._bare.seconds = 0, 0.0
                self._began = time.process_time()
            if step % TURN == 0:
                self._bare.turn()
            self.steps = step + 1 - TURN * WARM_UP
            yield served

    def on(self, step: int, event: Event) -> None:
        if isinstance(event, RunFinished):
            self.seconds = time.process_time() - self._began - self._bare.seconds - self._judged.seconds

    def close(self) -> None:
        """Nothing is pending."""


def once(agent: str, batch: int, epochs: int, settings: Optimizer) -> tuple[float, float]:
    """Microseconds per step: bare, ours."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(SAMPLES, 784, generator=generator)
    # Learnable labels: with pure noise the loss would not behave as a loss does.
    targets = (inputs[:, :200] @ torch.randn(200, 10, generator=generator)).argmax(1)
    data = Arrays(inputs, targets, inputs[:50], targets[:50])
    learner: Learner = Finetune(optimizer=settings) if agent == "finetune" else flagship(optimizer=settings)
    judged = Judged(learner)
    stream = permuted(data, Timetable(batch_size=batch, epochs=epochs), tasks=1)
    bare = Bare(data, batch, settings)
    bare.turn()
    bare.seconds, bare.steps = 0.0, 0
    turns = TakingTurns(stream, bare, judged)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        watchers: list[Subscriber] = [ConsoleView(), WandbSink(mode="offline", folder=out), turns]
        run(turns, judged, out=out, evaluation=Schedule(within=0), subscribers=watchers)
    return bare.seconds / bare.steps * 1e6, turns.seconds / turns.steps * 1e6


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    rounds = 2 if options.quick else 5
    table = Table("agent", "optimizer", "batch", "bare us", "ours us", "ratio", "low", "high", "goal", "met")
    # A process for each measurement: how memory was used before moves the time of a step by several per cent.
    fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    for batch, epochs in ((10, 2), (128, 20)):
        for kind, settings in OPTIMIZERS.items():
            found: dict[str, list[tuple[float, float]]] = {"finetune": [], "flagship": []}
            for _ in range(rounds):
                for name, pairs in found.items():
                    pairs.append(fresh.submit(once, name, batch, epochs, settings).result())
            for name, pairs in found.items():
                ratios = sorted(ours / bare for bare, ours in pairs)
                ratio, goal = statistics.median(ratios), GOALS[name, batch]
                times = [round(statistics.median(side), 1) for side in zip(*pairs, strict=True)]
                spread = [round(value, 3) for value in (ratio, ratios[0], ratios[-1])]
                table.add(name, kind, batch, *times, *spread, goal, ratio <= goal)
    finish(table, options)


if __name__ == "__main__":
    main()
