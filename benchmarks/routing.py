"""Routers beside each other: who finds the right expert, who notices what nobody knows, and what each of them costs.

python -m benchmarks.routing [--quick] [--json FILE]

Quality: each sample on its own and batches of 32; the share of inputs of worlds that were never described that is
called unknown, and the share of the experts' own test inputs that is, at `reject` = 0.01. Experts are small perceptrons
trained on their world, for the routers that listen to them. Means over the seeds.

Cost: CPU time of one thread to route 256 inputs of 784 numbers, all of one world or each of another one, among so many
experts, each described by 200 inputs; `describe` by 1,000. Median of repetitions.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.harness import Table, arguments, data_folder, finish
from lifelong.routing.all_lanes import AllLanes
from lifelong.routing.confidence import Confidence
from lifelong.routing.gaussian import GaussianRouter
from lifelong.routing.latest import Latest
from lifelong.routing.mahalanobis import Mahalanobis
from lifelong.routing.nearest_mean import NearestMean
from lifelong.routing.router import Description, Finder, Router, Voice, per_batch, per_sample
from lifelong.routing.trained import Trained
from lifelong_envs.supervised.data import DataSet, Digits, Idx
from lifelong_envs.supervised.rotated import Rotation

REJECT = 0.01
ROUTERS: dict[str, Router] = {
    "Gaussian": GaussianRouter(reject=REJECT),
    "Mahalanobis": Mahalanobis(reject=REJECT),
    "Mahalanobis, 1 key": Mahalanobis(keys=1, reject=REJECT),
    "Mahalanobis, 10 keys": Mahalanobis(keys=10, reject=REJECT),
    "NearestMean": NearestMean(reject=REJECT),
    "NearestMean, 4 in directions": NearestMean(4, REJECT, "directions"),
    "NearestMean, features": NearestMean(reject=REJECT, space="features"),
    "Confidence, entropy": Confidence(reject=REJECT),
    "Confidence, max_probability": Confidence("max_probability", REJECT),
    "Confidence, energy": Confidence("energy", REJECT),
    "AllLanes": AllLanes(reject=REJECT),
    "Trained": Trained(reject=REJECT),
    "Latest": Latest(),
}
KNOWN, FOREIGN = 5, 3
SLOW = {"Trained": 100}
"""Most experts that a router is timed with."""


@dataclass(frozen=True, slots=True)
class World:
    """Inputs and classes of one world, for learning and for judging."""

    train: Tensor
    labels: Tensor
    test: Tensor


def images(name: str) -> DataSet:
    """The digits, or 4,000 + 1,000 images of MNIST."""
    if name == "digits":
        return Digits().load(torch.device("cpu"))
    folder = data_folder()
    assert folder is not None
    full = Idx(folder / "mnist", train_limit=4000).load(torch.device("cpu"))
    return DataSet(
        full.name, full.train_inputs, full.train_targets, full.test_inputs[:1000], full.test_targets[:1000],
        full.outputs, full.objective,
    )  # fmt: skip


def permuted(data: DataSet, count: int, seed: int) -> list[World]:
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(data.train_inputs[0].numel(), generator=generator) for _ in range(count)]
    return [World(_shuffled(data.train_inputs, p), data.train_targets, _shuffled(data.test_inputs, p)) for p in orders]


def _shuffled(inputs: Tensor, order: Tensor) -> Tensor:
    return inputs.flatten(1)[:, order].view_as(inputs)


def rotated(data: DataSet, seed: int) -> list[World]:
    """Known: every 36 degrees; foreign: those in between, and upside down. The seed turns them all a little."""
    turns = [Rotation(angle + 5.0 * seed) for angle in (0, 36, 72, 108, 144, 18, 90, 180)]
    return [World(turn(data.train_inputs), data.train_targets, turn(data.test_inputs)) for turn in turns]


def class_split(data: DataSet, seed: int) -> list[World]:
    """Five pairs of classes, drawn with the seed."""
    order = torch.randperm(10, generator=torch.Generator().manual_seed(seed))
    made = []
    for pair in torch.split(order, 2):
        mine, asked = torch.isin(data.train_targets, pair), torch.isin(data.test_targets, pair)
        made.append(World(data.train_inputs[mine], data.train_targets[mine], data.test_inputs[asked]))
    return made


def expert(world: World, number: int, seed: int, epochs: int) -> Voice:
    """A multilayer perceptron that has learned this world; all experts start from the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        wide = world.train[0].numel()
        body = nn.Sequential(nn.Flatten(), nn.Linear(wide, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU())
        model = nn.Sequential(body, nn.Linear(100, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        for _ in range(epochs):
            for some in torch.split(torch.randperm(len(world.train)), 32):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(world.train[some]), world.labels[some]).backward()
                optimizer.step()
    return Voice(number, torch.no_grad()(body), torch.no_grad()(model))


def judged(finder: Finder, known: Sequence[World], foreign: Sequence[World]) -> list[float]:
    """Right by sample, right by batch of 32, foreign inputs found, own inputs called foreign."""
    numbers = range(len(known))
    sample, batch, own = [], [], []
    for number, world in enumerate(known):
        match = per_sample(finder, world.test, numbers)
        sample.append(float((match.experts == number).float().mean()))
        own.append(float((~match.known).float().mean()))
        whole = [some for some in torch.split(world.test, 32) if len(some) == 32]
        found = [int(per_batch(finder, some, numbers).experts[0]) == number for some in whole]
        batch.append(sum(found) / len(found))
    strange = [float((~per_sample(finder, world.test, numbers).known).float().mean()) for world in foreign]
    return [statistics.mean(values) for values in (sample, batch, strange, own)]


def quality(names: Sequence[str], seeds: int) -> Table:
    table = Table("data", "worlds", "router", "by sample", "by batch of 32", "foreign found", "own called foreign")
    for name in names:
        data = images(name)
        for scenario in ("permuted", "rotated", "class-split"):
            found: dict[str, list[list[float]]] = {router: [] for router in ROUTERS}
            for seed in range(seeds):
                if scenario == "permuted":
                    worlds = permuted(data, KNOWN + FOREIGN, seed)
                else:
                    worlds = rotated(data, seed) if scenario == "rotated" else class_split(data, seed)
                known, foreign = (worlds[:4], worlds[4:]) if len(worlds) == 5 else (worlds[:KNOWN], worlds[KNOWN:])
                voices = [expert(w, i, seed, epochs=12 if name == "digits" else 4) for i, w in enumerate(known)]
                for router, made in ROUTERS.items():
                    described = [(v, made.describe(w.train, v)) for v, w in zip(voices, known, strict=True)]
                    found[router].append(judged(made.gather(described), known, foreign))
            for router, rows in found.items():
                means = [f"{statistics.mean(values):.3f}" for values in zip(*rows, strict=True)]
                table.add(name, scenario, router, *means)
                print(table.rows[-1], flush=True)
    return table


def cost(counts: Sequence[int], times: int) -> Table:
    table = Table(
        "router", "experts", "one world, ms", "right", "by batch of 32", "mixed, ms", "right, mixed", "gather, ms",
        "describe, ms", "bytes an expert",
    )  # fmt: skip
    rows, asked = _cost_inputs()
    orders = [torch.randperm(784, generator=torch.Generator().manual_seed(i)) for i in range(max(counts))]
    heard = [_stranger(i) for i in range(100)]
    voices = [Voice(i, *heard[i % len(heard)]) for i in range(max(counts))]
    for name, router in ROUTERS.items():
        most = min(max(counts), SLOW.get(name, max(counts)))
        long = _milliseconds(lambda made=router: made.describe(rows[:1000], voices[0]), 3)  # type: ignore[misc]
        kept = [(voices[i], router.describe(_shuffled(rows[:200], orders[i]), voices[i])) for i in range(most)]
        for count in counts:
            if count > most:
                continue
            start = time.process_time()
            finder = router.gather(kept[:count])
            made = (time.process_time() - start) * 1e3
            which = torch.arange(256) * 7 % count
            mixed = torch.stack([asked[i].flatten()[orders[w]] for i, w in enumerate(which.tolist())]).view_as(asked)
            one = _shuffled(asked, orders[count // 2])
            listens = any(word in name for word in ("features", "Confidence", "AllLanes"))
            again = 3 if listens and count > 100 else times
            spent = [_milliseconds(_routing(finder, inputs, count), again) for inputs in (one, mixed)]
            right = [
                per_sample(finder, one, range(count)).experts == count // 2,
                torch.cat([per_batch(finder, x, range(count)).experts for x in torch.split(one, 32)]) == count // 2,
                per_sample(finder, mixed, range(count)).experts == which,
            ]
            # The experts that some routers listen to have learned nothing here: their cost is all that is asked.
            shares = ["-" if listens else f"{float(found.float().mean()):.3f}" for found in right]
            figures = [f"{spent[0]:.2f}", *shares[:2], f"{spent[1]:.2f}", shares[2]]
            table.add(name, count, *figures, f"{made:.1f}", f"{long:.1f}", _bytes(kept[0][1]))
            print(table.rows[-1], flush=True)
    return table


def _cost_inputs() -> tuple[Tensor, Tensor]:
    """Images to describe and 256 to ask about: MNIST, or noise of 784 numbers where that is not there."""
    if data_folder() is not None:
        data = images("mnist")
        return data.train_inputs, data.test_inputs[:256]
    generator = torch.Generator().manual_seed(0)
    base, strong = torch.randn(784, generator=generator), torch.randn(20, 784, generator=generator)
    made = base + torch.randn(1256, 20, generator=generator) @ strong + torch.randn(1256, 784, generator=generator)
    return made[:1000].view(-1, 1, 28, 28), made[1000:].view(-1, 1, 28, 28)


def _stranger(seed: int) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU())
        return torch.no_grad()(body), torch.no_grad()(nn.Sequential(body, nn.Linear(100, 10)))


def _routing(finder: Finder, inputs: Tensor, count: int) -> Callable[[], object]:
    return lambda: per_sample(finder, inputs, range(count))


def _milliseconds(call: Callable[[], object], times: int) -> float:
    call()
    taken = []
    for _ in range(times):
        start = time.process_time()
        call()
        taken.append((time.process_time() - start) * 1e3)
    return statistics.median(taken)


def _bytes(kept: Description) -> int:
    return sum(value.numel() * value.element_size() for value in kept.values())


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    names = ["digits"] + ([] if options.quick or data_folder() is None else ["mnist"])
    if data_folder() is None:
        print("No folder of real data (LIFELONG_DATA): digits only, and costs on noise.")
    found = quality(names, seeds=1 if options.quick else 3)
    print(found)
    spent = cost((10, 100) if options.quick else (10, 100, 1000), times=5 if options.quick else 15)
    finish(spent, options)
    if options.json is not None:
        rows = [dict(zip(table.columns, row, strict=True)) for table in (found, spent) for row in table.rows]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
