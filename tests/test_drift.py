"""Shifts that no rising loss gives away: a slow ramp, an easier world, other inputs, other labels alone."""

from __future__ import annotations

import copy

import pytest
import torch
from toys import CONTRACT, batches, blobs, kinds, live

from lifelong.anchor import Anchor
from lifelong.events import DriftDetected, DriftFollowed, ExpertDissolved, ExpertSpawned, ShiftDetected
from lifelong.experience import Batch, Query
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong_agents.flagship import flagship
from lifelong_agents.gpm import gpm

FAST = Optimizer("adam", lr=0.01)


def learner(**settings) -> LifelongLearner:
    return flagship(network=Mlp(hidden=(16, 16)), optimizer=FAST, **settings)


def accuracy(agent: LifelongLearner, batches: list[Batch]) -> float:
    right = [
        float((agent.predict(Query(b.inputs, CONTRACT)).outputs.argmax(1) == b.targets).float().mean()) for b in batches
    ]
    return sum(right) / len(right)


def ramp(old: list[Batch], new: list[Batch]) -> list[Batch]:
    """Batches of one world fade into those of the other, sample by sample."""
    random, faded = torch.Generator().manual_seed(0), []
    for at, (a, b) in enumerate(zip(old, new, strict=True)):
        keep = torch.rand(len(a.targets), generator=random) > at / len(old)
        inputs = torch.where(keep[:, None], a.inputs, b.inputs)
        faded.append(Batch(inputs, torch.where(keep, a.targets, b.targets), CONTRACT))
    return faded


def conflicting(seed: int, count: int) -> list[Batch]:
    """The same inputs as `batches(seed, count)`, and other labels."""
    return [Batch(b.inputs, (b.targets + 1) % 6, CONTRACT) for b in batches(seed, count)]


def test_a_slow_ramp_ends_with_an_expert_for_either_world():
    agent = learner(drift_every=100)
    old, new = batches(1, 1200), conflicting(1, 900)
    events = live(agent, old[:300], ramp(old[300:1200], new), conflicting(1, 300))
    first = min(at for at, _ in (*kinds(events, DriftDetected), *kinds(events, ShiftDetected)))
    assert 300 < first < 1200
    assert [e.parent for _, e in kinds(events, ExpertSpawned)] == [None, 0]
    assert kinds(events, DriftFollowed)
    # One expert was kept, and those on the way were not.
    assert agent.size().experts == 2
    asked = batches(1, 5)[0].inputs
    first, second = agent._pool.experts
    assert (first.answer(asked, CONTRACT).argmax(1) == batches(1, 5)[0].targets).float().mean() > 0.9
    assert (second.answer(asked, CONTRACT).argmax(1) == conflicting(1, 5)[0].targets).float().mean() > 0.9


def test_whoever_has_no_room_follows_the_drift_and_says_so():
    agent = learner(drift_every=100, max_experts=1)
    old, new = batches(1, 1200), conflicting(1, 900)
    events = live(agent, old[:300], ramp(old[300:1200], new), new[:200])
    assert len(kinds(events, DriftDetected)) >= 1
    assert agent.size().experts == 1
    assert accuracy(agent, conflicting(1, 3)) > 0.9


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_one_world_does_not_drift_however_long_it_is_learned(seed):
    agent = learner(drift_every=25, seed=seed)
    events = live(agent, batches(1, 1500))
    assert not kinds(events, DriftDetected)
    assert not kinds(events, DriftFollowed)


def test_a_drift_into_a_known_world_goes_to_its_expert():
    agent = learner(drift_every=100)
    old, new = batches(1, 1200), conflicting(1, 900)
    events = live(agent, old[:200], new[:200], old[:300], ramp(old[300:1200], new), new)
    # Who followed the drift was nobody, and has made room for the one that knew this world.
    ((_, gone),) = kinds(events, ExpertDissolved)
    assert gone.into == 1
    # Nobody was kept but the two, and at the most one that stood between them.
    assert agent.size().experts <= 3
    assert agent._stay.expert.number == 1
    assert accuracy(agent, conflicting(1, 5)) > 0.95


def test_labels_alone_that_change_make_rivals_of_whom_the_latest_answers():
    agent = learner()
    events = live(agent, batches(1, 120), conflicting(1, 120))
    assert agent.size().experts == 2
    assert len(kinds(events, ShiftDetected)) == 1
    assert accuracy(agent, conflicting(1, 5)) > 0.95
    # The old labels come back: so does their expert, and now it is the one that answers.
    live(agent, batches(1, 60))
    assert agent.size().experts == 2
    assert accuracy(agent, batches(1, 5)) > 0.95
    # A world with other inputs is nobody's rival.
    live(agent, batches(2, 120))
    assert not any(stretch.rivals for stretch in agent._pool.experts[2].stretches)
    assert accuracy(agent, batches(1, 5)) > 0.95


def half(seed: int, count: int, classes: tuple[int, ...]) -> list[Batch]:
    """Batches in which only some of the classes appear."""
    inputs, targets = blobs(seed, count * 16 * 6)
    mine = torch.isin(targets, torch.tensor(classes))
    inputs, targets = inputs[mine][: count * 16], targets[mine][: count * 16]
    return [Batch(x, y, CONTRACT) for x, y in zip(inputs.split(16), targets.split(16), strict=True)]


def test_an_easier_world_is_noticed_by_its_inputs_and_its_expert_goes_on():
    agent = learner(inputs=Unlabelled())
    events = live(agent, batches(1, 200), half(1, 100, (0, 1)))
    ((step, shift),) = kinds(events, ShiftDetected)
    assert 200 < step <= 212
    assert shift.by == "inputs"
    # It knew those classes already.
    assert agent.size().experts == 1
    assert len(agent._pool.experts[0].stretches) == 2


def test_one_network_protects_what_came_and_went_without_a_rise_of_the_loss():
    """The inputs give away what the loss does not, so that gpm consolidates."""
    blind, sighted = (
        gpm(network=Mlp(hidden=(32, 32), bias=False), optimizer=FAST, inputs=inputs) for inputs in (None, Unlabelled())
    )
    for agent in (blind, sighted):
        live(agent, batches(1, 200), half(1, 100, (0, 1)), batches(3, 200))
    tasks = [agent._pool.experts[0].foundation.memory.tasks for agent in (blind, sighted)]
    assert tasks[0] < tasks[1]


def test_a_learner_with_an_anchor_is_restored_exactly():
    ours = learner(drift_every=40)
    old, new = batches(1, 500), conflicting(1, 300)
    stream = [*old[:200], *ramp(old[200:500], new)]
    live(ours, stream[:300])
    theirs = learner(drift_every=40)
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    assert [e for _, e in live(ours, stream[300:])] == [e for _, e in live(theirs, stream[300:])]
    a, b = (x.predict(Query(new[0].inputs, CONTRACT)).outputs for x in (ours, theirs))
    assert torch.equal(a, b)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="every >= 1"):
        Anchor(every=0)
    with pytest.raises(ValueError, match="tolerance"):
        Anchor(tolerance=1.5)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_samples_learned_by_heart_and_forgotten_again_are_no_drift(seed):
    """Labels that nothing explains, gone through again and again: the loss on samples goes with their turn."""
    random = torch.Generator().manual_seed(seed)
    inputs, targets = torch.randn(60 * 16, 16, generator=random), torch.randint(6, (60 * 16,), generator=random)
    once = [Batch(x, y, CONTRACT) for x, y in zip(inputs.split(16), targets.split(16), strict=True)]
    agent = flagship(Mlp(hidden=(64, 64)), FAST, drift_every=25, seed=seed)
    events = live(agent, *[once] * 12)
    assert not kinds(events, DriftDetected)
    assert agent.size().experts == 1


@pytest.mark.parametrize("seed", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_the_bad_moments_of_a_restless_optimizer_are_no_drift(seed):
    """Small batches and large steps: what the expert is at one moment says little of what it is by and large."""
    random = torch.Generator().manual_seed(seed)
    inputs = torch.rand(3000, 16, generator=random)
    targets = (inputs @ torch.randn(16, 6, generator=random)).argmax(1)
    once = [Batch(x, y, CONTRACT) for x, y in zip(inputs.split(6), targets.split(6), strict=True)]
    agent = flagship(Mlp(hidden=(32, 32)), Optimizer("adam", lr=0.01), drift_every=50, seed=seed)
    events = live(agent, *[once] * 6)
    assert not kinds(events, DriftDetected)
    assert agent.size().experts == 1


def test_a_rival_in_one_world_answers_for_that_world_alone():
    agent = learner()
    live(agent, batches(1, 120), conflicting(1, 120))
    first, second = agent._pool.experts
    # The second one knows another world, too.
    portrait = agent._dispatcher.portray(second, batches(3, 60), agent._pool.experts)
    second.stretches = portrait.hang(second.stretches)
    live(agent, batches(1, 60))
    assert agent._stay.expert is first
    found = agent.predict(Query(batches(3, 1)[0].inputs, CONTRACT)).experts
    assert found.tolist() == [second.number] * 16
    old = agent.predict(Query(batches(1, 1)[0].inputs, CONTRACT)).experts
    assert old.tolist() == [first.number] * 16
