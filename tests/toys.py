"""Small worlds for tests: linearly separable tasks that share inputs' shape and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lifelong.events import Update
from lifelong.experience import Batch
from lifelong.lifelong_learner import LifelongLearner
from lifelong.objective import Classification, Contract
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.task_stream import TaskStream
from lifelong_envs.supervised.timetable import Timetable

CONTRACT = Contract((16,), 6, Classification())


def blobs(seed: int, samples: int, shift: float = 0.0) -> tuple[Tensor, Tensor]:
    """Six well separated clouds of 16 numbers, whose places depend on the seed."""
    random = torch.Generator().manual_seed(seed)
    places = 3 * torch.randn(6, 16, generator=random)
    targets = torch.randint(6, (samples,), generator=random)
    return places[targets] + torch.randn(samples, 16, generator=random) + shift, targets


def batches(seed: int, count: int, size: int = 16) -> list[Batch]:
    inputs, targets = blobs(seed, count * size)
    return [Batch(x, y, CONTRACT) for x, y in zip(inputs.split(size), targets.split(size), strict=True)]


def toy_stream(
    order: str = "A B A", seed: int = 0, labels: str = "never", boundaries: str = "hidden", steps: int = 60
) -> TaskStream:
    """Permuted blobs: `steps` batches of 16 in each segment."""
    inputs, targets = blobs(7, 16 * steps + 200)
    data = Arrays(inputs[:-200], targets[:-200], inputs[-200:], targets[-200:], name="blobs")
    scenario = Scenario(labels=labels, boundaries=boundaries)  # type: ignore[arg-type]
    return permuted(data, Timetable(order=order, batch_size=16), scenario, seed=seed)


def live(learner: LifelongLearner, *stretches: list) -> list[tuple[int, object]]:
    """Every event but the updates, with the number of batches learned."""
    events, step = [], 0
    for stretch in stretches:
        for batch in stretch:
            step += 1
            first, *rest = learner.learn(batch)
            assert isinstance(first, Update)
            events += [(step, event) for event in rest]
    return events


def kinds(events: list[tuple[int, object]], kind: type) -> list[tuple[int, object]]:
    return [(step, event) for step, event in events if isinstance(event, kind)]


def walk(value: object) -> Iterator[object]:
    """Every object reachable through dataclass fields, slots, dicts and sequences."""
    yield value
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from walk(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from walk(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from walk(getattr(value, name))
