"""A reservoir keeps an even, uniform, repeatable draw of everything that it was ever offered."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from lifelong.reservoir import Reservoir


def stream(count: int, groups: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    inputs = torch.rand(count, 3, generator=random)
    return inputs, torch.arange(count), torch.randint(groups, (count,), generator=random)


def offer(reservoir: Reservoir, parts: tuple[Tensor, Tensor, Tensor], size: int = 32) -> None:
    for batch in zip(*(part.split(size) for part in parts), strict=True):
        reservoir.add(*batch)


def brute(reservoir: Reservoir, inputs: Tensor, labels: Tensor, groups: Tensor, quota: int) -> set[int]:
    """The labels of each group's `quota` highest priorities, by sorting everything."""
    best: set[int] = set()
    ranks = reservoir.priorities(inputs)
    for group in groups.unique():
        mine = (groups == group).nonzero()[:, 0]
        best |= set(labels[mine[ranks[mine].argsort(descending=True)[:quota]]].tolist())
    return best


def test_each_group_keeps_the_highest_priorities_of_all_it_had() -> None:
    parts = stream(900, 5)
    reservoir = Reservoir(50)
    offer(reservoir, parts)
    assert set(reservoir.labels.tolist()) == brute(reservoir, *parts, quota=10)
    assert torch.equal(parts[0][reservoir.labels], reservoir.inputs)
    assert len(reservoir) == 50


def test_groups_that_appear_late_leave_what_would_have_been_kept_from_the_start() -> None:
    parts = stream(600, 3)
    order = parts[2].argsort(stable=True)
    sorted_parts = tuple(part[order] for part in parts)
    early, late = Reservoir(60), Reservoir(60)
    offer(late, sorted_parts)  # type: ignore[arg-type]
    offer(early, parts)
    assert torch.equal(early.labels, late.labels)
    assert torch.equal(early.inputs, late.inputs)
    assert early.quota == 20


def test_a_sample_that_comes_again_takes_no_second_place() -> None:
    parts = stream(300, 2)
    reservoir = Reservoir(40)
    offer(reservoir, parts)
    labels, version = reservoir.labels, reservoir.version
    shuffled = torch.randperm(300, generator=torch.Generator().manual_seed(1))
    offer(reservoir, tuple(part[shuffled] for part in parts), size=7)  # type: ignore[arg-type]
    assert torch.equal(reservoir.labels, labels)
    assert reservoir.version == version


def test_every_sample_has_the_same_chance() -> None:
    parts = stream(40, 1)
    times = torch.zeros(40)
    for seed in range(600):
        reservoir = Reservoir(10, seed)
        offer(reservoir, parts)
        times[reservoir.labels] += 1
    # Binomial with 600 draws of chance 1/4: five standard deviations are 53.
    assert (times - 150).abs().max() < 53
    assert times.std() > 5


def test_priorities_are_uniform_and_depend_on_content_alone() -> None:
    reservoir = Reservoir(1, seed=3)
    inputs = torch.rand(20_000, 4, generator=torch.Generator().manual_seed(0))
    ranks = reservoir.priorities(inputs)
    assert ranks.min() >= 0
    places = (ranks.double() / 2**63).sort().values
    expected = (torch.arange(20_000).double() + 0.5) / 20_000
    # Kolmogorov-Smirnov: 1.95 / sqrt(n) is passed by chance once in a thousand times.
    assert (places - expected).abs().max() < 1.95 / 20_000**0.5
    assert torch.equal(ranks[5:17], reservoir.priorities(inputs[5:17]))
    assert not torch.equal(ranks, Reservoir(1, seed=4).priorities(inputs))


def test_a_saved_reservoir_goes_on_the_same() -> None:
    parts = stream(500, 4)
    half, rest = tuple(p[:250] for p in parts), tuple(p[250:] for p in parts)
    whole, resumed = Reservoir(30), Reservoir(30)
    offer(whole, half)  # type: ignore[arg-type]
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    for reservoir in (whole, resumed):
        offer(reservoir, rest)  # type: ignore[arg-type]
    assert torch.equal(whole.inputs, resumed.inputs)
    assert torch.equal(whole.labels, resumed.labels)
    assert whole.version == resumed.version
    resumed.clear()
    assert len(resumed) == 0
    offer(resumed, parts)
    assert set(resumed.labels.tolist()) == brute(resumed, *parts, quota=7)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Reservoir(0)
    reservoir = Reservoir(2)
    with pytest.raises(ValueError, match="empty"):
        _ = reservoir.inputs
    with pytest.raises(ValueError, match="3 groups"):
        reservoir.add(torch.rand(3, 2), torch.arange(3), torch.arange(3))
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        reservoir.add(torch.rand(3, 5), torch.arange(3), torch.zeros(3, dtype=torch.int64))
