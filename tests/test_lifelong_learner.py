from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from toys import CONTRACT, batches, kinds, live, toy_stream

from lifelong.dispatch import Dispatcher
from lifelong.events import ExpertChosen, ExpertSpawned, RolledBack, ShiftDetected, ShiftDismissed, ShiftSeen
from lifelong.experience import Batch, Query
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp
from lifelong.objective import Contract, Regression
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.routing.gaussian import GaussianRouter
from lifelong.shift.detector import Shift
from lifelong.trail import Trail
from lifelong.upbringing import Upbringing
from lifelong_agents.flagship import flagship
from lifelong_agents.gpm import gpm

FAST = Optimizer("adam", lr=0.01)


def learner(**settings) -> LifelongLearner:
    return flagship(network=Mlp(hidden=(16, 16)), optimizer=FAST, **settings)


def weights(of: LifelongLearner, expert: int) -> list[torch.Tensor]:
    assembly = of._pool.experts[expert].foundation.assembly
    return [p.detach().clone() for p in assembly.parameters()]


def test_a_new_world_is_noticed_and_given_to_a_new_expert():
    events = live(learner(), batches(1, 80), batches(2, 40))
    ((step, shift),) = kinds(events, ShiftDetected)
    assert 80 < step <= 86
    assert step - shift.delay == 80
    assert [(s, e.expert) for s, e in kinds(events, ExpertSpawned)] == [(1, 0), (step, 1)]


def test_a_world_that_comes_back_gets_its_expert_back():
    agent = learner()
    events = live(agent, batches(1, 80), batches(2, 80), batches(3, 80), batches(1, 40), batches(4, 40))
    assert agent.size().experts == 4
    ((step, chosen),) = kinds(events, ExpertChosen)
    assert chosen.expert == 0
    assert 240 < step <= 246
    assert chosen.unexplained < 0.25


def test_nothing_that_came_after_the_onset_stays_in_the_old_expert():
    agent, oracle = learner(), learner()
    past = batches(1, 80)
    events = live(agent, past, batches(2, 40))
    (_, shift), *_ = kinds(events, ShiftDetected)
    # The onset was found exactly, so the old expert is to the bit the one that stopped there.
    assert kinds(events, RolledBack)[0][1].experiences == shift.delay
    live(oracle, past)
    for ours, theirs in zip(weights(agent, 0), weights(oracle, 0), strict=True):
        assert torch.equal(ours, theirs)


def test_the_evidence_is_not_lost_but_learned_by_the_new_expert():
    agent = learner()
    news = batches(2, 40)
    events = live(agent, batches(1, 80), news[:6])
    (step, _), *_ = kinds(events, ShiftDetected)
    # The new expert has learned exactly the batches since the onset, from the ancestor's weights on.
    twin = learner()
    live(twin, news[: step - 80])
    late = learner()
    live(late, batches(1, 80), news[: step - 80])
    for ours, theirs in zip(weights(late, 1), weights(twin, 0), strict=True):
        assert torch.equal(ours, theirs)


def test_a_stationary_stream_raises_no_alarm():
    agent = learner()
    events = live(agent, batches(1, 1500))
    assert not kinds(events, ShiftDetected)
    assert agent.size().experts == 1


def test_an_alarm_that_the_active_expert_can_explain_is_dismissed():
    agent = learner(tolerance=0.5)
    live(agent, batches(1, 80))
    # A stretch that is noisier than the world was, but still this world.
    torch.manual_seed(0)
    noisy = [replace(b, inputs=b.inputs + 3 * torch.randn(b.inputs.shape)) for b in batches(1, 60)]
    events = live(agent, noisy)
    assert kinds(events, ShiftDismissed)
    assert not kinds(events, ExpertSpawned)
    assert agent.size().experts == 1


@pytest.mark.parametrize("read_every", [2, 8])
def test_reading_losses_rarely_finds_the_same_shift_and_undoes_as_much(read_every):
    often, rarely, oracle = learner(), learner(read_every=read_every), learner()
    past, news = batches(1, 80), batches(2, 40)
    events = live(rarely, past, news)
    live(often, past, news)
    ((step, shift),) = kinds(events, ShiftDetected)
    assert 80 < step <= 86 + read_every
    assert step - shift.delay == 80
    live(oracle, past)
    for ours, theirs in zip(weights(rarely, 0), weights(oracle, 0), strict=True):
        assert torch.equal(ours, theirs)
    assert rarely.size() == often.size()


def test_a_shown_label_decides_who_learns_and_who_answers():
    agent = learner()
    stretches = [[replace(b, task=name) for b in batches(i, 20)] for i, name in ((1, "one"), (2, "two"), (1, "one"))]
    events = live(agent, *stretches)
    assert agent.size().experts == 2
    assert [(s, e.expert) for s, e in kinds(events, ExpertChosen)] == [(41, 0)]
    inputs = batches(1, 1)[0].inputs
    # The label is believed, whatever the inputs look like.
    for name, expert in (("one", 0), ("two", 1)):
        assert agent.predict(Query(inputs, CONTRACT, name)).experts.unique().tolist() == [expert]


def test_whoever_is_told_the_task_does_not_guess():
    agent = learner()
    stretch = [replace(b, task="one") for b in [*batches(1, 80), *batches(2, 40)]]
    events = live(agent, stretch)
    assert not kinds(events, ShiftDetected)
    assert agent.size().experts == 1


def test_a_pool_without_a_watch_is_refused():
    with pytest.raises(ValueError, match="names a watch"):
        LifelongLearner(Pool(Upbringing(Mlp(), FAST), 0, "cpu"), Dispatcher(GaussianRouter()), Trail())


def test_a_shown_boundary_is_taken_for_a_shift():
    agent = learner()
    marked = batches(2, 20)
    marked[0] = replace(marked[0], boundary=True)
    events = live(agent, batches(1, 20), marked)
    # Twenty batches are too few for the detector, which is still warming up.
    assert [s for s, _ in kinds(events, ExpertSpawned)] == [1, 21]
    assert [s for s, _ in kinds(events, ShiftSeen)] == [21]
    assert not kinds(events, ShiftDetected)


def test_no_more_experts_than_allowed():
    agent = learner(max_experts=2)
    live(agent, batches(1, 80), batches(2, 80), batches(3, 80), batches(4, 80))
    assert agent.size().experts == 2


def test_gpm_keeps_one_network_and_protects_it():
    agent = gpm(network=Mlp(hidden=(32, 32), bias=False), optimizer=FAST)
    events = live(agent, batches(1, 80), batches(2, 80))
    assert agent.size().experts == 1
    assert len(kinds(events, ShiftDetected)) == 1
    memory = agent._pool.experts[0].foundation.memory
    assert 0.0 < memory.used() <= 1.0


def test_the_cost_of_a_step_does_not_grow_with_the_number_of_experts():
    agent = learner()
    live(agent, *(batches(i, 60) for i in range(1, 9)))
    assert agent.size().experts == 8
    asked = []
    for expert in agent._pool.experts:
        expert.answer = lambda *_, e=expert: asked.append(e)  # type: ignore[method-assign]
    active = agent._stay.expert.number
    live(agent, batches(8, 20))
    assert asked == []
    assert agent._stay.expert.number == active


def test_labels_hidden_or_shown_toy_streams_are_mastered():
    for labels in ("never", "judging"):
        stream = toy_stream("A B C A D", labels=labels, steps=80)
        agent = learner()
        for batch, _ in stream.experiences():
            agent.learn(batch)
        assert agent.size().experts == 4
        for task in stream.tasks:
            answer = agent.predict(Query(task.test_inputs, task.contract, task.label))
            assert (answer.outputs.argmax(1) == task.test_targets).float().mean() > 0.93


def test_a_well_fitted_regression_is_not_taken_for_a_world_that_it_explains_poorly():
    """An expert that is nearly perfect and becomes merely good has met another world."""
    contract = Contract((6,), 1, Regression())
    random = torch.Generator().manual_seed(0)
    # Two unit vectors at a cosine of 0.9: the first explains four fifths of what the second asks.
    weights = torch.zeros(2, 6, 1)
    weights[0, 0], weights[1, 0], weights[1, 1] = 1.0, 0.9, 0.19**0.5
    stretches = [
        [Batch(x, x @ w, contract) for x in torch.randn(count * 16, 6, generator=random).split(16)]
        for w, count in ((weights[0], 400), (weights[1], 60))
    ]
    events = live(flagship(Mlp(hidden=(32, 32)), Optimizer("adam", lr=0.005)), *stretches)
    ((step, _),) = kinds(events, ShiftDetected)
    assert 400 < step <= 410


class Slow:
    """Speaks up after `at` values, and dates the shift as far back as it has seen."""

    threshold, statistic = 1.0, 0.0

    def __init__(self, at: int):
        self.at, self.seen = at, 0

    def update(self, value: float) -> Shift | None:
        self.seen += 1
        return Shift(self.seen, 2.0, 1.0) if self.seen == self.at else None

    def rearm(self) -> None:
        """It has no reference to keep."""

    def reset(self) -> None:
        self.seen = 0

    def state_dict(self) -> dict:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict) -> None:
        self.seen = state["seen"]


@pytest.mark.parametrize("at", [1, 16, 31, 32, 33, 48, 64, 200])
def test_an_onset_however_far_back_is_undone_as_far_as_the_trail_reaches(at):
    agent = learner(detector=Slow(at))
    found = [e for _, e in live(agent, batches(1, at)) if isinstance(e, ShiftDetected | ShiftDismissed)]
    assert len(found) == 1
    assert min(at, 16) <= found[0].delay <= 32
