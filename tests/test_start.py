"""Where new experts start: from the ancestor, the nearest expert, or between several."""

from __future__ import annotations

import pytest
import torch
from toys import CONTRACT, batches

from lifelong.expert import Expert, Normal
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.upbringing import Upbringing

FAST = Optimizer("adam", lr=0.01)
ASKED = batches(1, 4)[0].inputs


def pool_of(start: str, worlds=(1, 2)) -> Pool:
    pool = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST, start="ancestor"), 0, "cpu")
    for world in worlds:
        expert = pool.spawn(batches(world, 1))
        losses = [float(expert.update(batch).loss) for batch in batches(world, 120)]
        expert.normal = Normal(sum(losses[-20:]) / 20, 0.02)
    pool._up = Upbringing(Mlp(hidden=(16, 16)), FAST, start=start)
    return pool


def answer(expert: Expert) -> torch.Tensor:
    expert.foundation.assembly.grow(CONTRACT, expert.lane)
    return expert.answer(ASKED, CONTRACT)


def test_from_the_ancestor_it_begins_as_if_nobody_had_learned_anything():
    pool = pool_of("ancestor")
    assert torch.equal(answer(pool.spawn(batches(1, 3))), pool.untrained(ASKED, CONTRACT))


@pytest.mark.parametrize("world", [1, 2])
def test_from_the_nearest_it_begins_as_the_one_that_explains_most(world):
    pool = pool_of("nearest")
    newcomer = pool.spawn(batches(world, 3))
    assert torch.equal(answer(newcomer), pool.experts[world - 1].answer(ASKED, CONTRACT))
    # And goes its own way from there.
    before = pool.experts[world - 1].answer(ASKED, CONTRACT)
    newcomer.update(batches(3, 1)[0])
    assert torch.equal(before, pool.experts[world - 1].answer(ASKED, CONTRACT))


def test_auto_is_the_nearest_where_that_explains_most_and_else_the_ancestor():
    pool = pool_of("auto")
    assert torch.equal(answer(pool.spawn(batches(9, 3))), pool.untrained(ASKED, CONTRACT))
    assert torch.equal(answer(pool.spawn(batches(2, 3))), pool.experts[1].answer(ASKED, CONTRACT))


def test_composed_bodies_are_the_weighted_mean_of_what_was_learned():
    pool = pool_of("composed")
    evidence = batches(1, 2) + batches(2, 1)
    shares = {v.expert.number: max(0.0, 1 - v.unexplained) ** 2 for v in pool.judge(evidence)}
    newcomer = pool.spawn(evidence)
    ancestor = pool._ancestor.trunk.state_dict()
    for name, weight in newcomer.foundation.assembly.trunk.state_dict().items():
        wanted = ancestor[name].double().clone()
        for number, share in shares.items():
            step = pool.experts[number].foundation.assembly.trunk.state_dict()[name] - ancestor[name]
            wanted += share / sum(shares.values()) * step.double()
        assert torch.allclose(weight.double(), wanted, atol=1e-6)
    # Heads answer questions of their own and stay out of it.
    newcomer.foundation.assembly.grow(CONTRACT, newcomer.lane)
    head = newcomer.foundation.assembly.heads["0"].weight
    assert torch.equal(head, pool._ancestor.heads["0"].weight)


def test_a_successor_answers_as_the_one_it_succeeds_in_every_kind_of_sharing():
    for share in ("never", "always", "adapters"):
        pool = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST, share=share), 0, "cpu")
        for world in (1, 2):
            expert = pool.spawn(batches(world, 1))
            for batch in batches(world, 60):
                expert.update(batch)
            expert.consolidate(batches(world, 10))
            expert.rest()
        before = [e.answer(ASKED, CONTRACT) for e in pool.experts]
        heir = pool.succeed(pool.experts[1])
        assert torch.equal(heir.answer(ASKED, CONTRACT), before[1])
        for batch in batches(3, 5):
            heir.update(batch)
        assert all(torch.equal(e.answer(ASKED, CONTRACT), b) for e, b in zip(pool.experts, before, strict=False))
        assert not torch.equal(heir.answer(ASKED, CONTRACT), before[1])


def test_whoever_has_hardly_learned_anything_explains_nothing():
    pool = Pool(Upbringing(Mlp(hidden=(16, 16)), Optimizer("sgd", lr=1e-9)), 0, "cpu")
    expert = pool.spawn(batches(1, 1))
    losses = [float(expert.update(batch).loss) for batch in batches(1, 20)]
    expert.normal = Normal(sum(losses) / 20, 0.1)
    assert [v.unexplained for v in pool.judge(batches(5, 3))] == [1.0]


def test_one_batch_of_the_world_before_does_not_spoil_the_evidence():
    pool = pool_of("ancestor", (1, 2, 3))
    evidence = [*batches(3, 1), *batches(1, 4)]
    best = pool.judge(evidence)[0]
    assert best.expert.number == 0
    assert pool.knows(best)
