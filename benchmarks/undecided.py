"""What to do with the batches between the onset of a shift and its detection: roll back, hold them, or nothing.

python -m benchmarks.undecided [--quick] [--json FILE]

Rolling back learns everything at once and undoes what turns out to be foreign. Holding judges each batch before it is
learned and learns nothing while the detector is suspicious. Nothing leaves the foreign batches in the old expert. CPU
time covers learning alone, runs interleaved; `left in` is what the last expert before each shift lost on its own task.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from benchmarks.harness import Table, arguments, finish
from lifelong.dispatch import Dispatcher
from lifelong.events import Event, Update
from lifelong.experience import Batch, Query
from lifelong.expert import Expert
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.routing.gaussian import GaussianRouter
from lifelong.shift.cusum import Cusum
from lifelong.stream import Stream
from lifelong.trail import Trail
from lifelong.upbringing import Upbringing
from lifelong.watch import Watch
from lifelong_envs.supervised.data import Digits
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable


class NoWayBack(Trail):
    """Hands the foreign batches over and leaves the expert as they made it."""

    def rewind(self, expert: Expert, count: int) -> list[Batch]:
        count = min(count, len(self._batches))
        self.position -= count
        return [self._batches.pop() for _ in range(count)][::-1]


class Holding(LifelongLearner):
    """Learns nothing while its detector is suspicious; what was held is learned when it calms down."""

    def __init__(self, pool: Pool, dispatcher: Dispatcher, trail: Trail) -> None:
        super().__init__(pool, dispatcher, trail)
        self._trail = trail
        self._held: list[tuple[Batch, float, torch.Tensor]] = []

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        if self._stay.expert is None:
            self._arrive(batch)
            self._stay.active.prepare(batch.contract, batch.task)
        expert, objective = self._stay.active, batch.contract.objective
        with torch.no_grad():
            outputs = expert.foundation.assembly(batch.inputs, batch.contract, expert.lane, batch.task)
            loss = objective.loss(outputs, batch.targets)
        alarm = expert.watch.update(loss.item(), batch.inputs, outputs)
        self._held.append((batch, loss.item(), outputs))
        update = Update(expert.number, loss, outputs, batch.targets, objective.metric.per_sample)
        if alarm is not None:
            own, foreign = self._held[: -alarm.shift.onset], self._held[-alarm.shift.onset :]
            self._learn_held(expert, own)
            for other, surprise, _ in foreign:
                self._trail._batches.append(other)
                self._trail.position += 1
                self._stay._losses.append(surprise)
            self._held = []
            return (update, *self._turn(alarm))
        if expert.watch.loss.statistic == 0.0:
            self._learn_held(expert, self._held)
            self._held = []
        return (update,)

    def _learn_held(self, expert: Expert, held: list[tuple[Batch, float, torch.Tensor]]) -> None:
        for batch, surprise, _ in held:
            self._trail.note(expert, batch)
            self._stay._losses.append(surprise)
            expert.update(batch)


def pool(optimizer: Optimizer, seed: int) -> Pool:
    return Pool(Upbringing(Mlp(), optimizer, Watch(Cusum())), seed, "cpu")


WAYS: dict[str, Callable[[Optimizer, int], LifelongLearner]] = {
    "roll back": lambda o, s: LifelongLearner(pool(o, s), Dispatcher(GaussianRouter()), Trail()),
    "hold": lambda o, s: Holding(pool(o, s), Dispatcher(GaussianRouter()), NoWayBack()),
    "nothing": lambda o, s: LifelongLearner(pool(o, s), Dispatcher(GaussianRouter()), NoWayBack()),
}
OPTIMIZERS = {
    "adam 1e-3": Optimizer("adam", lr=1e-3),
    "sgd 0.05, momentum 0.9": Optimizer("sgd", lr=0.05, momentum=0.9),
}


def left_in(stream: Stream, learner: LifelongLearner) -> tuple[list[float], float]:
    """Points lost by the task just left, eight batches into the next one, for each change; CPU seconds of learning."""
    tasks = {task.name: task for task in stream.tasks}

    def score(name: str) -> float:
        task = tasks[name]
        answer = learner.predict(Query(task.test_inputs, task.contract))
        return float((answer.outputs.argmax(1) == task.test_targets).double().mean())

    lost, seconds, segment, since, before = [], 0.0, 0, 0, ("", 0.0)
    for batch, truth in stream.experiences():
        if truth.segment != segment:
            previous = stream.segments[segment].task
            before, segment, since = (previous, score(previous)), truth.segment, 0
        began = time.process_time()
        learner.learn(batch)
        seconds += time.process_time() - began
        since += 1
        if segment and since == 8:
            lost.append(100 * (before[1] - score(before[0])))
    return lost, seconds


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    table = Table("optimizer", "way", "points left in", "worst", "experts", "us/step")
    for label, optimizer in OPTIMIZERS.items():
        lost: dict[str, list[float]] = {way: [] for way in WAYS}
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        experts: dict[str, list[int]] = {way: [] for way in WAYS}
        for seed in range(10, 11 if options.quick else 15):
            stream = permuted(Digits(), Timetable(order="A B C A D", epochs=10, batch_size=32), seed=seed)
            steps = sum(segment.steps for segment in stream.segments)
            for way, make in WAYS.items():
                learner = make(optimizer, seed)
                losses, seconds = left_in(stream, learner)
                lost[way] += losses
                took[way].append(seconds / steps * 1e6)
                experts[way].append(learner.size().experts)
        for way in WAYS:
            found = [round(statistics.fmean(lost[way]), 2), round(max(lost[way]), 2), sorted(set(experts[way]))]
            table.add(label, way, *found, round(statistics.median(took[way])))
    finish(table, options)


if __name__ == "__main__":
    main()
