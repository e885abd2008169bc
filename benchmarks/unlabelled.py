"""Shifts found without labels: each measure with its default watch on streams of inputs alone.

python -m benchmarks.unlabelled [--quick] [--json FILE]

Four shifts in each stream, at known batches, in segments of at least 80 batches; the watch is reset after each
alarm, because a new world begins. `within 10` is the share of shifts that were found within ten batches, `found` of
those found before the next one; every other alarm is false. `rotated slightly` turns by 10 degrees at a time, where
the others are easy. In `label_permuted` inputs stay the same, and in `stationary` everything does, for ten segments.
What a network answers, for the entropy, comes from one that learned the first segment and then stays. `every 40` alarms
whenever 40 batches are over: what can be had without looking. `us` is the CPU time of a batch, `fit ms` that of the
dearest one, at the end of a grace.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmarks.harness import Table, arguments, data_folder, finish, rounded
from lifelong.shift.detector import Shift
from lifelong.shift.unlabelled.classifier import ClassifierTwoSample
from lifelong.shift.unlabelled.energy import Energy
from lifelong.shift.unlabelled.entropy import Entropy
from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.reconstruction import Reconstruction
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong.stream import Stream
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import DataSet, DataSource, Digits, Idx
from lifelong_envs.supervised.label_permuted import label_permuted
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated
from lifelong_envs.supervised.timetable import Timetable

SEGMENT = 80
"""Batches of a segment, at least: the grace and the warm-up take 30."""


@dataclass(slots=True)
class Clock:
    """An alarm every so many batches."""

    period: int
    _since: int = field(default=0, init=False)

    def update(self, inputs: Tensor, outputs: Tensor | None = None) -> Shift | None:
        self._since += 1
        return Shift(1, 1.0, 1.0) if self._since == self.period else None

    def reset(self) -> None:
        self._since = 0


Watch = Unlabelled | Clock
WATCHES: dict[str, Callable[[int], Watch]] = {
    "mmd": lambda seed: Unlabelled(Mmd(seed=seed)),
    "energy": lambda seed: Unlabelled(Energy(seed=seed)),
    "ks": lambda seed: Unlabelled(KolmogorovSmirnov(seed=seed)),
    "classifier": lambda seed: Unlabelled(ClassifierTwoSample(seed=seed)),
    "reconstruction": lambda _: Unlabelled(Reconstruction()),
    "entropy": lambda _: Unlabelled(Entropy()),
    "every 40": lambda _: Clock(40),
}


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A data set that was read before."""

    data: DataSet

    def load(self, device: torch.device) -> DataSet:
        return self.data


def streams(source: DataSource, batch: int, seed: int) -> Iterator[tuple[str, Stream, bool]]:
    """Name, stream, and whether its inputs change."""
    rows = len(source.load(torch.device("cpu")).train_inputs)

    def timetable(order: str, share: float = 1.0, segment: int = SEGMENT) -> Timetable:
        """Passes over the task's share of the rows, or over a part of it where that is enough."""
        whole = int(share * rows) // batch
        if whole >= segment:
            return Timetable(order, batch_size=batch, samples=segment * batch)
        return Timetable(order, epochs=-(-segment // max(whole, 1)), batch_size=batch)

    yield "permuted", permuted(source, timetable("A B C D A"), seed=seed), True
    yield "rotated", rotated(source, timetable("A B C D A"), angles=[0.0, 45.0, 90.0, 135.0], seed=seed), True
    slight = rotated(source, timetable("A B C D E"), angles=[0.0, 10.0, 20.0, 30.0, 40.0], seed=seed)
    yield "rotated slightly", slight, True
    # No pair of classes has less than 0.18 of the rows.
    yield "class_split", class_split(source, timetable("A B C D E", share=0.18), seed=seed), True
    yield "label_permuted", label_permuted(source, timetable("A B C D A"), seed=seed), False
    yield "stationary", permuted(source, timetable("A", segment=10 * SEGMENT), seed=seed), False


def educated(stream: Stream, seed: int) -> nn.Module:
    """A small network that has learned the first segment, in 300 steps."""
    torch.manual_seed(seed)
    shown = [
        batch for (batch, truth), _ in zip(stream.experiences(), range(SEGMENT), strict=False) if not truth.segment
    ]
    contract = shown[0].contract
    wide = shown[0].inputs[0].numel()
    model = nn.Sequential(nn.Flatten(), nn.Linear(wide, 100), nn.ReLU(), nn.Linear(100, contract.outputs))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(300):
        batch = shown[step % len(shown)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch.inputs), batch.targets).backward()
        optimizer.step()
    return model


@dataclass(slots=True)
class Tally:
    """What one watch found in one kind of stream."""

    shifts: int = 0
    delays: list[int] = field(default_factory=list)
    false: int = 0
    batches: int = 0
    seconds: list[float] = field(default_factory=list)


def watched(stream: Stream, changes: bool, watches: dict[str, Watch], tallies: dict[str, Tally], seed: int) -> None:
    """All watches live through the stream side by side."""
    model = educated(stream, seed)
    onset, segment = 0, 0
    waiting = dict.fromkeys(watches, False)
    for step, (batch, truth) in enumerate(stream.experiences()):
        if truth.segment != segment:
            onset, segment = step, truth.segment
            for name in watches:
                waiting[name] = changes
                tallies[name].shifts += changes
        with torch.no_grad():
            outputs = model(batch.inputs)
        for name, watch in watches.items():
            began = time.process_time()
            shift = watch.update(batch.inputs, outputs)
            tallies[name].seconds.append(time.process_time() - began)
            tallies[name].batches += 1
            if shift is None:
                continue
            watch.reset()
            if waiting[name]:
                tallies[name].delays.append(step - onset + 1)
            else:
                tallies[name].false += 1
            waiting[name] = False


def sources() -> Sequence[DataSource]:
    folder = data_folder()
    if folder is None or not (folder / "mnist").is_dir():
        print("MNIST is not here (set LIFELONG_DATA to the folder that has it): digits alone.")
        return [Loaded(Digits().load(torch.device("cpu")))]
    return [Loaded(s.load(torch.device("cpu"))) for s in (Digits(), Idx(folder / "mnist"))]


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    table = Table(
        "data",
        "batch",
        "stream",
        "measure",
        "shifts",
        "within 10",
        "found",
        "delay",
        "false",
        "batches",
        "us",
        "fit ms",
    )
    for source in sources():
        label = source.load(torch.device("cpu")).name
        for batch in (32, 128):
            tallies: dict[str, dict[str, Tally]] = {}
            for seed in range(1 if options.quick else 3):
                for kind, stream, changes in streams(source, batch, seed):
                    found = tallies.setdefault(kind, {name: Tally() for name in WATCHES})
                    watched(stream, changes, {name: make(seed) for name, make in WATCHES.items()}, found, seed)
            for kind, found in tallies.items():
                for name, tally in found.items():
                    shares = [rounded(count / tally.shifts) if tally.shifts else None for count in counts(tally)]
                    delay = statistics.median(tally.delays) if tally.delays else None
                    cost, dearest = costs(tally)
                    table.add(
                        label,
                        batch,
                        kind,
                        name,
                        tally.shifts,
                        *shares,
                        delay,
                        tally.false,
                        tally.batches,
                        cost,
                        dearest,
                    )
    finish(table, options)


def counts(tally: Tally) -> tuple[int, int]:
    """Shifts that were found within ten batches, and those that were found at all."""
    return sum(delay <= 10 for delay in tally.delays), len(tally.delays)


def costs(tally: Tally) -> tuple[int, float]:
    """Microseconds of a batch on average, without the dearest fiftieth (in which references are made); milliseconds of
    the very dearest."""
    ordered = sorted(tally.seconds)
    usual = ordered[: len(ordered) * 49 // 50]
    return round(statistics.fmean(usual) * 1e6), round(ordered[-1] * 1e3, 1)


if __name__ == "__main__":
    main()
