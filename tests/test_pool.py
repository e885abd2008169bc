from __future__ import annotations

import math

import pytest
import torch
from toys import CONTRACT, batches

from lifelong.dispatch import Dispatcher
from lifelong.experience import Query
from lifelong.expert import Expert, Normal
from lifelong.network import Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.routing.gaussian import GaussianRouter
from lifelong.subspace.gpm import Gpm
from lifelong.upbringing import Upbringing

FAST = Optimizer("adam", lr=0.01)


def raised(pool: Pool, world: int) -> Expert:
    """An expert that has learned the world, with its normal loss and the description of its inputs."""
    expert = pool.spawn(batches(world, 1))
    losses = [float(expert.update(batch).loss) for batch in batches(world, 120)]
    expert.normal = Normal(sum(losses[-20:]) / 20, 0.02)
    expert.stretches = [Dispatcher(GaussianRouter()).portray(expert, batches(world, 20), pool.experts).stretch]
    return expert


@pytest.fixture
def pool() -> Pool:
    pool = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST), seed=0, device="cpu")
    for world in (1, 2, 3):
        raised(pool, world)
    return pool


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_expert_of_a_world_explains_its_evidence(pool, world):
    verdicts = pool.judge(batches(world, 3))
    assert verdicts[0].expert.number == world - 1
    assert pool.knows(verdicts[0])
    assert not any(pool.knows(v) for v in verdicts[1:])


def test_nobody_explains_an_unknown_world(pool):
    assert not any(pool.knows(v) for v in pool.judge(batches(9, 3)))


def test_experts_of_another_contract_are_not_asked(pool):
    other = Contract((16,), 7, Classification())
    evidence = [type(b)(b.inputs, b.targets, other) for b in batches(1, 2)]
    assert pool.judge(evidence) == []


def test_unlabelled_samples_are_routed_one_by_one(pool):
    parts = [batches(world, 4) for world in (1, 2, 3)]
    inputs = torch.cat([b.inputs for part in parts for b in part])
    targets = torch.cat([b.targets for part in parts for b in part])
    owners = torch.arange(3).repeat_interleave(64)
    shuffle = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
    answer = Dispatcher(GaussianRouter()).answer(Query(inputs[shuffle], CONTRACT), pool.experts, pool.untrained)
    assert (answer.experts == owners[shuffle]).float().mean() > 0.97
    assert (answer.outputs.argmax(1) == targets[shuffle]).float().mean() > 0.95


def test_all_experts_start_as_their_ancestor():
    pool = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST), seed=3, device="cpu")
    inputs = batches(1, 1)[0].inputs
    untrained = pool.untrained(inputs, CONTRACT)
    for _ in range(2):
        expert = pool.spawn(batches(1, 1))
        expert.foundation.assembly.grow(CONTRACT, expert.lane)
        assert torch.equal(expert.answer(inputs, CONTRACT), untrained)
        expert.update(batches(1, 1)[0])


def test_always_shares_one_body_and_never_shares_none():
    for share, bodies in (("always", 1), ("never", 3)):
        pool = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST, share=share), seed=0, device="cpu")
        experts = [pool.spawn(batches(1, 1)) for _ in range(3)]
        assert len({id(e.foundation.assembly) for e in experts}) == bodies
        for expert in experts:
            expert.foundation.assembly.grow(CONTRACT, expert.lane)
        body, head = 2 * (16 * 16 + 16), 16 * 6 + 6
        assert pool.size().parameters == bodies * body + 3 * head


def test_auto_shares_where_features_serve_and_founds_where_they_do_not():
    # World 5: the same inputs as world 1, with the classes renamed; world 6: other inputs altogether.
    pool = Pool(Upbringing(Mlp(hidden=(64, 64)), FAST, share="auto"), seed=0, device="cpu")
    hard = Contract((8,), 2, Classification())

    def rings(seed: int, flipped: bool = False) -> list:
        random = torch.Generator().manual_seed(seed)
        inputs = torch.randn(1600, 8, generator=random)
        targets = ((inputs[:, 0] * inputs[:, 1] * 1.0 > 0) ^ flipped).long()
        return [
            type(b)(x, y, hard) for b, x, y in zip(batches(1, 100), inputs.split(16), targets.split(16), strict=True)
        ]

    first = pool.spawn(rings(1))
    for _ in range(6):
        for batch in rings(1):
            first.update(batch)
    assert pool.spawn(rings(2, flipped=True)[:20]).foundation is first.foundation
    shuffled = [type(b)(b.inputs.roll(3, 1), b.targets, hard) for b in rings(4)]
    assert pool.spawn(shuffled[:20]).foundation is not first.foundation


def test_a_full_pool_says_so():
    pool = Pool(Upbringing(Mlp(hidden=(4,)), FAST, limit=1), seed=0, device="cpu")
    assert not pool.is_full(batches(1, 1)[0])
    pool.spawn(batches(1, 1))
    assert pool.is_full(batches(1, 1)[0])
    with pytest.raises(ValueError, match="at least 1 expert"):
        Upbringing(Mlp(), FAST, limit=0)


def test_state_round_trip_keeps_every_answer(pool):
    other = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST), seed=0, device="cpu")
    other.load_state_dict(pool.state_dict())
    query = Query(batches(2, 1)[0].inputs, CONTRACT)
    dispatcher = Dispatcher(GaussianRouter())
    ours, theirs = (dispatcher.answer(query, p.experts, p.untrained) for p in (pool, other))
    assert torch.equal(ours.outputs, theirs.outputs)
    assert torch.equal(ours.experts, theirs.experts)
    # And they go on learning alike.
    for batch in batches(2, 5):
        pool.experts[1].update(batch)
        other.experts[1].update(batch)
    assert torch.equal(pool.experts[1].answer(query.inputs, CONTRACT), other.experts[1].answer(query.inputs, CONTRACT))


def test_a_lone_owner_moves_freely_and_a_shared_trunk_does_not():
    """An expert that left too early must be able to learn on when its world comes back."""
    for share, joined in (("auto", False), ("always", True)):
        pool = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST, share=share, subspace=Gpm(1.0, 1.0)), 0, "cpu")
        first = pool.spawn(batches(1, 1))
        for batch in batches(1, 5):
            first.update(batch)
        assert first.consolidate(batches(1, 20)) == []
        first.rest()
        if joined:
            second = pool.spawn(batches(2, 1))
            assert {fact.layer for fact in second.joined()} == {"encoders.16.1", "trunk.0"}
        encoder = first.foundation.assembly.encoders["16"][1].weight
        before = encoder.detach().clone()
        for batch in batches(1, 20):
            first.update(batch)
        moved = float((encoder.detach() - before).norm())
        assert (moved < 1e-5) if joined else (moved > 0.1)


def test_what_holds_each_parameter_is_told():
    up = Upbringing(Mlp(hidden=(16, 16)), FAST, share="always", subspace=Gpm(1.0, 1.0, samples=4))
    pool = Pool(up, 0, "cpu")
    first = pool.spawn(batches(1, 1))
    first.update(batches(1, 1)[0])
    first.consolidate(batches(1, 1))
    alone = {fact.parameter: fact for fact in pool.held()}
    assert {fact.how for fact in alone.values()} == {"free", "per expert"}
    second = pool.spawn(batches(2, 1))
    second.update(batches(2, 1)[0])
    told = {fact.parameter: fact for fact in pool.held()}
    assert set(told) == {name for name, _ in first.foundation.assembly.named_parameters()}
    assert (told["trunk.0.weight"].how, told["trunk.0.weight"].rank) == ("protected", 4)
    assert [told[f"heads.{k}.weight"].why for k in (0, 1)] == ["of expert-0 alone", "of expert-1 alone"]
    weights = [fact for fact in told.values() if fact.how != "per expert"]
    free = sum((1 - f.rank / f.size) * math.prod(f.shape) for f in weights) / sum(math.prod(f.shape) for f in weights)
    assert first.foundation.report().left == pytest.approx(free)
    assert Pool(Upbringing(Mlp(hidden=(16, 16)), FAST), 0, "cpu").held() == []


class Normed(Mlp):
    """A trunk that nobody can protect: all experts' inputs move one norm's statistics."""

    def trunk(self):
        norm = torch.nn.InstanceNorm1d(4, track_running_stats=True)
        return torch.nn.Sequential(super().trunk(), torch.nn.Unflatten(1, (4, 4)), norm, torch.nn.Flatten())


def test_a_network_that_cannot_be_protected_is_not_shared_and_says_so_where_it_must():
    auto = Pool(Upbringing(Normed(hidden=(16, 16)), FAST, share="auto"), 0, "cpu")
    first = auto.spawn(batches(1, 1))
    first.update(batches(1, 1)[0])
    assert first.consolidate(batches(1, 20)) == []
    assert auto.spawn(batches(1, 20)).foundation is not first.foundation
    always = Pool(Upbringing(Normed(hidden=(16, 16)), FAST, share="always"), 0, "cpu")
    first = always.spawn(batches(1, 1))
    first.update(batches(1, 1)[0])
    with pytest.raises(ValueError, match="InstanceNorm's running statistics"):
        first.consolidate(batches(1, 20))


def test_a_restored_expert_is_guarded_for_those_who_came_after_it():
    up = Upbringing(Mlp(hidden=(16, 16)), FAST, share="always", subspace=Gpm(0.8, 0.8))
    pool, other = Pool(up, 0, "cpu"), Pool(up, 0, "cpu")
    for world in (1, 2):
        expert = pool.spawn(batches(world, 1))
        for batch in batches(world, 20):
            expert.update(batch)
        expert.consolidate(batches(world, 20))
        expert.rest()
    for batch in batches(1, 5, size=8):
        pool.experts[0].update(batch)
    other.load_state_dict(pool.state_dict())
    for batch in batches(1, 5, size=8):
        pool.experts[0].update(batch)
        other.experts[0].update(batch)
    ours, theirs = (p.experts[0].foundation.assembly.state_dict() for p in (pool, other))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_memory_that_was_given_up_stays_given_up():
    up = Upbringing(Normed(hidden=(16, 16)), FAST, share="auto")
    pool, other = Pool(up, 0, "cpu"), Pool(up, 0, "cpu")
    first = pool.spawn(batches(1, 1))
    first.update(batches(1, 1)[0])
    first.consolidate(batches(1, 20))
    other.load_state_dict(pool.state_dict())
    assert other.experts[0].foundation.memory is None


def test_a_mixture_is_covered_by_those_who_know_its_parts_together():
    pool = Pool(Upbringing(Mlp(hidden=(16, 16)), FAST), seed=0, device="cpu")
    experts = [pool.spawn(batches(seed, 1)) for seed in (1, 2)]
    for expert, seed in zip(experts, (1, 2), strict=True):
        for batch in batches(seed, 150):
            expert.update(batch)
    mixture = [*batches(1, 200)[190:], *batches(2, 200)[190:]]
    known = sum(pool.loss(e, batches(s, 200)[190:]) for e, s in zip(experts, (1, 2), strict=True)) / 2
    assert pool.covers(experts, mixture, known)
    assert not any(pool.covers([expert], mixture, known) for expert in experts)
    # Nobody covers nothing, and a world that neither knows is covered by none of them.
    assert not pool.covers([], mixture, known)
    assert not pool.covers(experts, batches(3, 10), known)
