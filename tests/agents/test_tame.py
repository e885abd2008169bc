"""TAME keeps the laws, does what its authors' rule does, and is as small as it says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toys import CONTRACT, batches, toy_stream

from lifelong.check import check_learner
from lifelong.evaluation.schedule import Schedule
from lifelong.events import ExpertChosen, ExpertSpawned, ShiftDetected, Update
from lifelong.experience import Batch, Query
from lifelong.fit import Fit
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.objective import Contract, Regression
from lifelong.optimizer import Optimizer
from lifelong.pruning import footprint
from lifelong.shift.loss_band import Band
from lifelong.thinning import Thinning
from lifelong.whole import whole
from lifelong_agents.tame import Tame

SGD, SHORT = Optimizer("sgd", lr=0.05, momentum=0.9), Fit(3, 32, Optimizer("adam", lr=0.01), ())
BAND = Band(window=30, grace=15)
HALF = Thinning(0.5, fit=SHORT)


def tame(thinning: Thinning | None = HALF, **settings: object) -> Tame:
    return Tame(
        Mlp((16, 16)),
        Mlp((16,)),
        SGD,
        BAND,
        thinning=thinning,
        selector_fit=replace(SHORT, epochs=10),
        selector_thinning=Thinning(0.3, fit=SHORT),
        capacity=200,
        thinning_capacity=200,
        **settings,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("thinning", [None, HALF])
def test_it_keeps_the_laws_of_learners(thinning: Thinning | None) -> None:
    check_learner(lambda: tame(thinning), toy_stream("A B A"), steps=80)


def test_it_finds_new_worlds_and_reuses_the_expert_of_an_old_one() -> None:
    result = run(toy_stream("A B C A", steps=80), tame(), evaluation=Schedule(within=0))
    happened = [event for _, event in result.events]
    assert result.summary.experts == 3
    assert result.summary.acc > 0.95
    assert sum(isinstance(e, ExpertSpawned) for e in happened) == 3
    assert ExpertChosen(0, 0.0) in happened
    assert result.summary.shifts_detected >= 3


def test_asking_the_resting_experts_only_when_surprised_changes_nothing() -> None:
    """The rule as published, every expert evaluated on every batch, beside the agent: same losses, same choices."""
    agent, stream = tame(thinning=None), toy_stream("A B C A B", steps=60)
    networks, optimizers, windows, when_active = [], [], [], []
    active = -1
    switches = 0
    for batch, _ in stream.experiences():
        if active < 0:
            chosen = None
        else:
            losses = [F.cross_entropy(n(batch.inputs), batch.targets).item() for n in networks]
            smoothed = [
                loss if not old else 0.2 * loss + 0.8 * old[-1] for loss, old in zip(losses, when_active, strict=True)
            ]
            limits = [np.mean(w[-30:]) + 3 * max(np.std(w[-30:]), 0.005) for w in windows]
            chosen = active
            if smoothed[active] > limits[active] and len(when_active[active]) >= 15:
                switches += 1
                chosen = next((e for e in range(len(networks)) if smoothed[e] < limits[e]), None)
        if chosen is None:
            chosen = len(networks)
            networks.append(whole(Mlp((16, 16)), (16,), 6, seed=7919 * chosen))
            optimizers.append(SGD.over(networks[-1].parameters()))
            windows.append([math.log(len(batch.targets.unique()))])
            when_active.append([])
        active = chosen
        loss = F.cross_entropy(networks[active](batch.inputs), batch.targets)
        optimizers[active].zero_grad()
        loss.backward()
        optimizers[active].step()
        old = when_active[active]
        old.append(loss.item() if not old else 0.2 * loss.item() + 0.8 * old[-1])
        windows[active].append(loss.item())
        update = agent.learn(batch)[0]
        assert isinstance(update, Update)
        assert update.expert == active
        assert update.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert switches >= 3
    assert len(networks) == 3 == agent.size().experts


def test_a_left_expert_is_as_small_as_it_says_and_stays_so_when_it_learns_again() -> None:
    agent = tame()
    for batch, _ in toy_stream("A B A", steps=80).experiences():
        agent.learn(batch)
    full = sum(p.numel() for p in whole(Mlp((16, 16)), (16,), 6, 0).parameters())
    router = sum(p.numel() for p in whole(Mlp((16,)), (16,), 2, 0).parameters())
    first, second = agent._experts
    assert agent._active is first
    assert footprint(first.module).nonzero == footprint(second.module).nonzero == full - round(0.5 * full)
    expected = 2 * (full - round(0.5 * full)) + router - round(0.3 * router)
    assert agent.size().nonzero == expected
    assert agent.size().parameters == 2 * full + router
    assert footprint(agent._trained_selector().body).nonzero == router - round(0.3 * router)


def test_the_active_expert_answers_as_small_as_it_will_be_left_and_is_not_changed_by_that() -> None:
    agent = tame()
    given = batches(1, 40)
    for batch in given:
        agent.learn(batch)
    expert = agent._experts[0]
    before = footprint(expert.module).nonzero
    outputs = agent.predict(Query(given[0].inputs, CONTRACT)).outputs
    assert footprint(expert.module).nonzero == before == footprint(expert.module).parameters
    agent._leave(expert)
    assert torch.equal(agent.predict(Query(given[0].inputs, CONTRACT)).outputs, outputs)
    assert footprint(expert.module).nonzero < before


def test_an_expert_answers_with_the_classes_of_its_own_world() -> None:
    agent = tame(thinning=None)
    given = batches(1, 80)
    for batch in given:
        mine = batch.targets < 2
        agent.learn(replace(batch, inputs=batch.inputs[mine], targets=batch.targets[mine]))
    assert set(agent.predict(Query(given[0].inputs, CONTRACT)).outputs.argmax(1).tolist()) == {0, 1}
    happened = []
    for batch in given[:3]:
        others = batch.targets >= 2
        happened += agent.learn(replace(batch, inputs=batch.inputs[others], targets=batch.targets[others]))
    assert sum(isinstance(event, ShiftDetected) for event in happened) == 1
    assert sum(isinstance(event, ExpertSpawned) for event in happened) == 1


def test_the_learning_rate_falls_at_the_milestones() -> None:
    agent = tame(thinning=None, milestones=(3, 5), gamma=0.5)
    rates = []
    for batch in batches(1, 6):
        agent.learn(batch)
        rates.append(agent._experts[0].optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125])


def test_before_any_learning_it_answers_as_a_fresh_network() -> None:
    prediction = tame().predict(Query(torch.zeros(3, 16), CONTRACT))
    assert prediction.experts.tolist() == [-1, -1, -1]
    assert prediction.outputs.shape == (3, 6)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="milestones"):
        tame(milestones=(0,))
    with pytest.raises(ValueError, match="asks for regression"):
        tame().learn(Batch(torch.zeros(2, 3), torch.zeros(2, 1), Contract((3,), 1, Regression())))
    agent = tame()
    agent.learn(batches(1, 1)[0])
    with pytest.raises(ValueError, match="one kind of question"):
        agent.learn(Batch(torch.zeros(2, 16), torch.zeros(2, dtype=torch.int64), replace(CONTRACT, outputs=7)))
