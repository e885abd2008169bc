"""Experts that become small while they learn: exact counts, kept through rests, rewinds and restarts."""

from __future__ import annotations

import copy

import pytest
import torch
from toys import CONTRACT, batches

from lifelong.experience import Query
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.pruning import Gradual
from lifelong_agents.flagship import flagship

HALF = Gradual(0.5, begin=10, end=60, every=5)


def learner() -> LifelongLearner:
    return flagship(Mlp(hidden=(16, 16)), Optimizer("adam", lr=0.01), share="never", prune=HALF, start="ancestor")


def lived(agent: LifelongLearner, *worlds: int) -> LifelongLearner:
    for world in worlds:
        for batch in batches(world, 120):
            agent.learn(batch)
    return agent


def nonzero(agent: LifelongLearner) -> list[int]:
    return [expert.foundation.nonzero for expert in agent._pool.experts]


def test_every_expert_is_left_with_as_many_numbers_as_planned_and_still_knows_its_world():
    agent = lived(learner(), 1, 2, 3)
    whole = agent.size().parameters // 3
    assert nonzero(agent) == [whole - round(0.5 * whole)] * 3
    assert agent.size().nonzero == sum(nonzero(agent))
    for world in (1, 2, 3):
        asked = batches(world, 8)
        answers = agent.predict(Query(torch.cat([b.inputs for b in asked]), CONTRACT)).outputs.argmax(1)
        assert float((answers == torch.cat([b.targets for b in asked])).float().mean()) > 0.93


def test_what_is_pruned_stays_so_when_its_world_comes_back():
    agent = lived(learner(), 1, 2, 1)
    zero = agent._pool.experts[0].foundation.assembly.trunk[0].weight == 0
    assert bool(zero.any())
    before = nonzero(agent)
    lived(agent, 2, 1)
    assert nonzero(agent) == before
    assert bool((agent._pool.experts[0].foundation.assembly.trunk[0].weight[zero] == 0).all())


def test_what_is_taken_back_is_not_counted_as_learned():
    agent, oracle = learner(), learner()
    past = batches(1, 45)
    for batch in past:
        agent.learn(batch)
        oracle.learn(batch)
    for batch in batches(2, 40):
        agent.learn(batch)
    assert agent.size().experts == 2
    # The old expert is, to the bit, the one that stopped at the change, as far as it had been pruned by then.
    ours, theirs = (a._pool.experts[0].foundation.assembly.state_dict() for a in (agent, oracle))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert agent._pool.experts[0].shrinking.updates == 45


def test_it_goes_on_pruning_exactly_where_a_checkpoint_left_it():
    ours = learner()
    stream = [*batches(1, 70), *batches(2, 70)]
    for batch in stream[:33]:
        ours.learn(batch)
    theirs = learner()
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    for batch in stream[33:]:
        ours.learn(batch)
        theirs.learn(batch)
    assert nonzero(ours) == nonzero(theirs)
    asked = Query(batches(2, 1)[0].inputs, CONTRACT)
    assert torch.equal(ours.predict(asked).outputs, theirs.predict(asked).outputs)


def test_shared_parts_are_not_pruned():
    with pytest.raises(ValueError, match="set share to never"):
        flagship(share="auto", prune=HALF)
