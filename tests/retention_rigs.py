"""What tests of retention methods share: small streams lived through, and a network trained by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.assembly import Assembly
from lifelong.evaluation.matrix import ScoreMatrix, bwt
from lifelong.evaluation.schedule import Schedule
from lifelong.experience import Batch
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.lifetime import run
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.retention.method import Retention
from lifelong.retention.model import Model
from lifelong.retention.retained import Retained
from lifelong.stream import Stream
from lifelong.trail import Trail
from lifelong_agents.finetune import Finetune
from lifelong_agents.retain import Retain
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import Digits
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.timetable import Timetable

ADAM = Optimizer()
SMALL = Mlp((32, 32))


def permuted_digits(seed: int, labels: str = "training", tasks: int = 3, epochs: int = 3) -> Stream:
    """Digits under other permutations of their pixels in each task, all with one head."""
    scenario = Scenario(labels=labels, boundaries="shown")  # type: ignore[arg-type]
    return permuted(Digits(), Timetable(epochs=epochs), scenario, tasks=tasks, seed=seed)


def split_digits(seed: int, labels: str = "judging", head: str = "per_task", epochs: int = 5) -> Stream:
    """Two digits in each of five tasks."""
    scenario = Scenario(labels=labels, boundaries="shown", head=head)  # type: ignore[arg-type]
    return class_split(Digits(), Timetable(epochs=epochs), scenario, seed=seed)


def lived(
    stream: Stream, seed: int, *methods: Retention, hidden: tuple[int, ...] = (64, 64), **rest: Any
) -> ScoreMatrix:
    """The scores of one network on a stream, with these methods or, without any, fine-tuned."""
    network, optimizer = Mlp(hidden), rest.get("optimizer", Optimizer())
    made = Retain(methods, network, optimizer, seed=seed) if methods else Finetune(network, optimizer, seed=seed)
    return run(stream, made, seed=seed, evaluation=Schedule(within=0)).matrix


@cache
def fine_tuned(seed: int) -> ScoreMatrix:
    """What fine-tuning comes to on permuted digits, whoever is told what."""
    return lived(permuted_digits(seed), seed)


def gained(matrix: ScoreMatrix, other: ScoreMatrix) -> tuple[float, float]:
    """By how much backward transfer and the mean score at the end are better."""
    ours, theirs = bwt(matrix), bwt(other)
    assert ours is not None
    assert theirs is not None
    return ours - theirs, float(matrix.scores[-1].mean() - other.scores[-1].mean())


def by_hand(
    seed: int, methods: Sequence[Retention], widths: tuple[int, ...] = (16, 24, 6), lr: float = 1e-2
) -> tuple[nn.Sequential, Retained, torch.optim.Optimizer]:
    """Linear layers with ReLU between them, Adam, and the methods at work on them."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), nn.ReLU()]
    module = nn.Sequential(*layers[:-1])
    retained = Retained(Model(module), methods, seed)
    retained.meet()
    return module, retained, torch.optim.Adam(module.parameters(), lr=lr)


def train(module: nn.Module, retained: Retained, optimizer: torch.optim.Optimizer, batches: Sequence[Batch]) -> None:
    module.train()
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        retained.step(optimizer, batch, module(batch.inputs))


def weights(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def equal(one: Any, other: Any) -> bool:
    """Whether two nested states hold the same numbers, bit for bit."""
    if isinstance(one, Tensor | np.ndarray):
        return bool((torch.as_tensor(one) == torch.as_tensor(other)).all())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def agent(method: Retention, seed: int = 0, network: Network = SMALL) -> Retain:
    return Retain((method,), network, Optimizer(lr=3e-3), seed=seed)


def assert_resumes(method: Retention, stream: Stream) -> None:
    """Who is put away in the third task and goes on is, bit by bit, who was not put away."""
    batches = [batch for batch, _ in stream.experiences()]
    ends = [step for step, batch in enumerate(batches) if step and batch.boundary]
    cut = (ends[1] + [*ends, len(batches)][2]) // 2
    one, other = agent(method), agent(method)
    for batch in batches[:cut]:
        one.learn(batch)
    kept = io.BytesIO()
    torch.save(one.state_dict(), kept)
    kept.seek(0)
    other.load_state_dict(torch.load(kept, weights_only=False))
    for batch in batches[cut:]:
        losses = [learner.learn(batch)[0].loss for learner in (one, other)]  # type: ignore[union-attr]
        assert torch.equal(*losses)
    assert equal(one.state_dict()["inner"]["parts"], other.state_dict()["inner"]["parts"])
    assert equal(one.state_dict()["inner"]["expert"], other.state_dict()["inner"]["expert"])
    assert one.size() == other.size()


def moved_apart(method: Retention, stream: Stream) -> tuple[float, float]:
    """How far the weights are from those of fine-tuning just before the first task ends, and before the second does."""
    batches = [batch for batch, _ in stream.experiences()]
    ends = [step for step, batch in enumerate(batches) if step and batch.boundary]
    ours, theirs = agent(method), Finetune(SMALL, Optimizer(lr=3e-3))
    apart = []
    for step, batch in enumerate(batches[: ends[1] - 1], start=1):
        ours.learn(batch)
        theirs.learn(batch)
        if step in (ends[0] - 1, ends[1] - 1):
            parts = [learner.state_dict() for learner in (ours, theirs)]
            mine, plain = parts[0]["inner"]["parts"]["weights"], parts[1]["parts"]["weights"]
            apart.append(max(float((mine[name] - plain[name]).abs().max()) for name in mine))
    return apart[0], apart[1]


def assert_goes_back(method: Retention, steps: int = 10, back: int = 3) -> None:
    """A trail takes the latest steps back, exactly, with all that the method keeps of them."""
    batches = [batch for batch, _ in zip(permuted_digits(0).experiences(), range(steps + back), strict=False)]
    assembly = Assembly(SMALL, 0, "cpu")
    expert, trail = Expert(0, Foundation(assembly), Optimizer(), retention=(method,)), Trail(every=4)
    for number, (batch, _) in enumerate(batches):
        if number == steps:
            before = [tensor.clone() for tensor in expert.tensors()]
        trail.note(expert, batch)
        expert.update(batch)
    assert not equal(before, expert.tensors())
    trail.rewind(expert, back)
    assert equal(before, expert.tensors())
