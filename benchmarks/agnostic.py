"""Nobody is told anything: are shifts found, do worlds that come back get their expert back, is a slow ramp noticed?

python -m benchmarks.agnostic [--quick] [--json FILE] [--seeds 0 1 2]

The flagship with its default settings (Adam, 1e-3), on digits and, where there is the data folder, MNIST; 300
batches of 32 a visit. `found`: shifts found of those there were. `delay`: median, in batches. `false`: alarms that were
none. `still`: alarms on a stream of one task, ten times as long as a visit. `back`: the least accuracy of the chosen
expert on a world that came back, after the first batch that was given to it, as a share of what that world was left
with. `ramp`: batches from the start of a ramp of 2,000 from A to B until it was noticed. `kept`: accuracy of A's expert
after the ramp, as a share of what it was before.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.harness import Table, data_folder, finish, parser
from lifelong.events import DriftDetected, DriftFollowed, Event, ExpertChosen, ExpertSpawned, ShiftDetected
from lifelong.experience import Query
from lifelong.lifelong_learner import LifelongLearner
from lifelong.stream import Stream, Task
from lifelong_agents.flagship import flagship
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import DataSource, Digits, Idx
from lifelong_envs.supervised.label_permuted import label_permuted
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated
from lifelong_envs.supervised.timetable import Timetable

Make = Callable[[DataSource, Timetable, int], Stream]

KINDS: dict[str, Make] = {
    "permuted": lambda data, table, seed: permuted(data, table, tasks=4, seed=seed),
    "rotated by 45": lambda data, table, seed: rotated(data, table, angles=[0, 45, 90, 135], seed=seed),
    "label-permuted": lambda data, table, seed: label_permuted(data, table, tasks=4, seed=seed),
    "class-split": lambda data, table, seed: class_split(
        data, table, groups=[[0, 1], [2, 3], [4, 5], [6, 7]], seed=seed
    ),
}
BATCH = 32


@dataclass(frozen=True, slots=True)
class Sizes:
    """Batches of a visit, of a stationary stream, and of the ramp."""

    visit: int
    still: int
    ramp: int


def images() -> dict[str, DataSource]:
    """Digits, and MNIST where there is the data folder."""
    if (folder := data_folder()) is None:
        print("The data folder is not there: digits alone.")
        return {"digits": Digits()}
    return {"digits": Digits(), "mnist": Idx(str(folder / "mnist"))}


def table_of(source: DataSource, batches: int, order: str, group: int, ramp: int = 0) -> Timetable:
    """Visits of at least so many batches; small data sets are gone through several times."""
    rows = len(source.load(torch.device("cpu")).train_inputs) // group
    samples = min(rows, batches * BATCH)
    return Timetable(order, epochs=-(-batches * BATCH // samples), batch_size=BATCH, samples=samples, ramp=ramp)


def accuracy(learner: LifelongLearner, task: Task, told: int | None = None) -> float:
    """On the task's test samples; by one expert alone where it is `told`."""
    inputs, targets = task.test_inputs[:1000], task.test_targets[:1000]
    if told is None:
        outputs = learner.predict(Query(inputs, task.contract)).outputs
    else:
        outputs = learner._pool.expert(told).answer(inputs, task.contract)
    return float((outputs.argmax(1) == targets).float().mean())


def lived(stream: Stream, learner: LifelongLearner) -> tuple[list[tuple[int, Event]], list[float]]:
    """Every event with its step; and, for second visits, the accuracy at their start as a share of the one left."""
    tasks = {task.name: task for task in stream.tasks}
    events: list[tuple[int, Event]] = []
    left: dict[str, float] = {}
    back: list[float] = []
    segment, waits, before = 0, "", ""
    for step, (batch, truth) in enumerate(stream.experiences(), 1):
        if truth.segment != segment:
            before = stream.segments[segment].task
            left[before] = accuracy(learner, tasks[before], learner._stay.active.number)
            segment, waits = truth.segment, truth.task if truth.task in left else ""
        happened = learner.learn(batch)[1:]
        events += [(step, event) for event in happened]  # type: ignore[misc]
        if waits and any(isinstance(e, ExpertChosen | ExpertSpawned) for e in happened):
            back.append(accuracy(learner, tasks[waits], learner._stay.active.number) / left[waits])
            waits = ""
    return events, back


def shifts(stream: Stream, events: list[tuple[int, Event]]) -> tuple[int, int, list[int], int]:
    """Found, of how many, their delays, and false alarms."""
    starts, at = [], 0
    for segment in stream.segments[:-1]:
        at += segment.steps
        starts.append(at)
    alarms = [step for step, event in events if isinstance(event, ShiftDetected | DriftDetected)]
    delays, false = [], len(alarms)
    for start, stop in zip(starts, [*starts[1:], at + stream.segments[-1].steps], strict=True):
        inside = [step - start for step in alarms if start < step <= stop]
        if inside:
            delays.append(inside[0])
            false -= 1
    return len(delays), len(starts), delays, false


def main() -> None:
    options_parser = parser(__doc__)
    options_parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = options_parser.parse_args()
    torch.set_num_threads(1)
    sources = images()
    sizes = Sizes(100, 300, 400) if options.quick else Sizes(300, 3000, 2000)
    seeds = options.seeds[:1] if options.quick else options.seeds
    table = Table("data", "stream", "seed", "found", "delay", "false", "still", "back", "experts", "ramp", "kept")
    for data, source in sources.items():
        for kind, make in KINDS.items():
            group = 5 if kind == "class-split" else 1
            for seed in seeds:
                stream = make(source, table_of(source, sizes.visit, "A B C A B D A", group), seed)
                learner = flagship(seed=seed)
                torch.manual_seed(seed)
                events, back = lived(stream, learner)
                found, there, delays, false = shifts(stream, events)
                still = make(source, table_of(source, sizes.still, "A", group), seed)
                torch.manual_seed(seed)
                calm, _ = lived(still, flagship(seed=seed))
                ramp, kept = "", ""
                if kind in ("permuted", "rotated by 45", "label-permuted"):
                    ramp, kept = ramped(make, source, sizes, seed)
                table.add(
                    data,
                    kind,
                    seed,
                    f"{found} of {there}",
                    statistics.median(delays) if delays else None,
                    false,
                    sum(isinstance(e, ShiftDetected | DriftDetected) for _, e in calm),
                    round(min(back), 3) if back else None,
                    learner.size().experts,
                    ramp,
                    kept,
                )
                print(table.rows[-1], flush=True)
    finish(table, options)


def ramped(make: Make, source: DataSource, sizes: Sizes, seed: int) -> tuple[str, str]:
    """How a ramp from A to B was noticed, and what is left of A."""
    stream = make(source, table_of(source, sizes.ramp + sizes.visit, "A B", 1, sizes.ramp), seed)
    learner = flagship(seed=seed)
    torch.manual_seed(seed)
    events, before, at, first = [], 0.0, 0, stream.segments[0].steps
    tasks = {task.name: task for task in stream.tasks}
    for step, (batch, _) in enumerate(stream.experiences(), 1):
        if step == first + 1:
            before, at = accuracy(learner, tasks["A"]), learner._stay.active.number
        events += [(step, event) for event in learner.learn(batch)[1:]]
    noticed = [step - first for step, e in events if isinstance(e, ShiftDetected | DriftDetected) and step > first]
    followed = sum(isinstance(e, DriftFollowed) for _, e in events)
    kept = [accuracy(learner, tasks["A"], e.number) for e in learner._pool.experts if e.number == at]
    said = f"after {noticed[0]}, +{followed} followed, {learner.size().experts} experts" if noticed else "not noticed"
    new = accuracy(learner, tasks["B"], learner._stay.active.number)
    return said, f"{max(kept, default=0.0) / before:.3f} (B {new:.3f})"


if __name__ == "__main__":
    main()
