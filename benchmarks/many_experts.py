"""Does it matter how many experts there are? CPU time of a training step, memory, and disk.

python -m benchmarks.many_experts [--quick] [--json FILE]

Experts of MLP 784-100-100-10 are spawned by worlds of noise with shown boundaries, eight batches each. Step: the
flagship with one expert and with many learn the same further batches in turns of 50 steps. Memory: resident size of a
process that spawns them all, with and without an archive (eight experts stay in memory), above its size with eight.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from benchmarks.harness import Table, arguments, finish
from lifelong.experience import Batch
from lifelong.lifelong_learner import LifelongLearner
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.routing.nearest_mean import NearestMean
from lifelong_agents.flagship import flagship

CONTRACT = Contract((784,), 10, Classification())
LIGHT = NearestMean(prototypes=4, space="directions")


def world(number: int, batches: int, size: int = 64) -> Iterator[Batch]:
    """Ten clouds of 784 numbers whose places depend on the number; the first batch shows its boundary."""
    random = torch.Generator().manual_seed(number)
    places = torch.randn(10, 784, generator=random)
    for at in range(batches):
        targets = torch.randint(10, (size,), generator=random)
        inputs = places[targets] + torch.randn(size, 784, generator=random)
        yield Batch(inputs, targets, CONTRACT, boundary=at == 0 and number > 0)


def raised(experts: int, archive: str | None = None) -> LifelongLearner:
    learner = flagship(
        optimizer=Optimizer("sgd", lr=0.05), share="never", router=LIGHT, archive=archive, memory=256, start="ancestor"
    )
    for number in range(experts):
        for batch in world(number, 8):
            learner.learn(batch)
    assert learner.size().experts == experts, learner.size()
    return learner


def step_cost(experts: int, rounds: int) -> tuple[float, float, float]:
    """Microseconds of a step with one expert and with many, and the median of their ratios, round by round."""
    one, many = raised(1), raised(experts)
    # The same world goes on for both: that of the latest expert of each.
    taken: dict[str, list[float]] = {"one": [], "many": []}
    lessons = {
        "one": [replace(b, boundary=False) for b in world(0, 50)],
        "many": [replace(b, boundary=False) for b in world(experts - 1, 50)],
    }
    for _ in range(rounds):
        for name, learner in (("one", one), ("many", many)):
            began = time.process_time()
            for batch in lessons[name]:
                learner.learn(batch)
            taken[name].append((time.process_time() - began) / len(lessons[name]) * 1e6)
    ratio = statistics.median(m / o for o, m in zip(taken["one"], taken["many"], strict=True))
    assert many.size().experts == experts
    return statistics.median(taken["one"]), statistics.median(taken["many"]), ratio


def resident() -> int:
    """Bytes of this process in memory now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def memory_of(experts: int, archived: bool) -> dict[str, int]:
    """Resident bytes that a fresh process gains between eight experts and all, and what the learner says of itself."""
    code = "import sys, json, benchmarks.many_experts as m; m.report(int(sys.argv[1]), len(sys.argv) > 2)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(experts), *(["archived"] if archived else [])],
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, int] = json.loads(done.stdout)
    return answer


def report(experts: int, archived: bool) -> None:
    """Print what `gained` gives."""
    print(json.dumps(gained(experts, archived)))


def gained(experts: int, archived: bool) -> dict[str, int]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        learner = raised(8, folder if archived else None)
        before = resident()
        for number in range(8, experts):
            for batch in world(number, 8):
                learner.learn(batch)
        size = learner.size()
        return {
            "gained": resident() - before,
            "bytes": size.bytes or 0,
            "archived": size.archived or 0,
            "parameters": size.parameters,
        }


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    experts, rounds, crowd = (20, 6, 30) if options.quick else (200, 20, 300)
    one, many, ratio = step_cost(experts, rounds)
    table = Table("what", "one or without", "many or with", "ratio")
    table.add(f"us a step, 1 and {experts} experts", round(one, 1), round(many, 1), round(ratio, 3))
    without, put_away = memory_of(crowd, archived=False), memory_of(crowd, archived=True)
    for name, key in (
        (f"resident KB an expert, {crowd} experts, without and with an archive", "gained"),
        ("KB accounted for an expert", "bytes"),
        ("KB an expert on the disk", "archived"),
    ):
        a, b = (round(value[key] / crowd / 1024, 1) for value in (without, put_away))
        table.add(name, a, b, round(b / a, 3) if a else None)
    finish(table, options)


if __name__ == "__main__":
    main()
