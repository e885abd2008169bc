"""Every law of learners that act lets a good one pass and catches the one that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from toy_policy import Wandering

from lifelong.acting.learner import LifelongActor
from lifelong.check import LawBroken, check_acting_learner
from lifelong.events import TaskEntered
from lifelong.experience import Batch
from lifelong.interaction import Interaction, Stage
from lifelong.learner import Size
from lifelong.objective import Classification, Contract
from lifelong.shift.cusum import Cusum
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.timetable import Timetable


def stream() -> ActingStream:
    return cartpole_flip(Timetable("A B", [2048, 1280], lanes=4, experience=256, change="episode"))


def good() -> LifelongActor:
    return LifelongActor(Wandering(), Cusum(), look=64)


def test_a_good_learner_passes() -> None:
    check_acting_learner(good, stream())
    check_acting_learner(Bent, stream(), experiences=2)


@dataclass
class Bent:
    """A good learner of which a test replaces one method by a bad one, given the good learner."""

    live_by: Callable[[LifelongActor, Interaction], Any] = LifelongActor.live
    actor_by: Callable[[LifelongActor, Stage], Any] = LifelongActor.actor
    size_by: Callable[[LifelongActor], Size] = LifelongActor.size
    save_by: Callable[[LifelongActor], dict[str, Any]] = LifelongActor.state_dict
    load_by: Callable[[LifelongActor, dict[str, Any]], None] = LifelongActor.load_state_dict

    def __post_init__(self) -> None:
        self.good = good()

    def live(self, interaction: Interaction) -> Any:
        return self.live_by(self.good, interaction)

    def actor(self, stage: Stage) -> Any:
        return self.actor_by(self.good, stage)

    def size(self) -> Size:
        return self.size_by(self.good)

    def state_dict(self) -> dict[str, Any]:
        return self.save_by(self.good)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.load_by(self.good, state)


def lazily(learner: LifelongActor, interaction: Interaction) -> Any:
    yield from learner.live(interaction)


def a_step_too_few(learner: LifelongActor, interaction: Interaction) -> Any:
    fewer = replace(interaction, steps=interaction.steps - len(interaction.lanes))
    update, *events = learner.live(fewer)
    return [replace(update, samples=interaction.steps), *events]


def all_in_one_lane(learner: LifelongActor, interaction: Interaction) -> Any:
    happened = learner.live(replace(interaction, lanes=interaction.lanes[:1]))
    return [replace(happened[0], samples=interaction.steps), *happened[1:]]


def beginning_anew(learner: LifelongActor, interaction: Interaction) -> Any:
    if interaction.lanes[0].observation is not None:  # type: ignore[attr-defined]
        interaction.lanes[0].reset()
    return learner.live(interaction)


def by_chance(learner: LifelongActor, interaction: Interaction) -> Any:
    update, *events = learner.live(interaction)
    return [replace(update, loss=torch.rand(())), *events]


def update_with(**changes: Any) -> Callable[[LifelongActor, Interaction], Any]:
    def live(learner: LifelongActor, interaction: Interaction) -> Any:
        update, *events = learner.live(interaction)
        return [replace(update, **changes), *events]

    return live


class Acting:
    """An actor of which a test replaces a part."""

    def __init__(self, actor: Any, act: Any = None, observe: Any = None, experts: Any = None) -> None:
        self._actor, self._act, self._observe, self._experts = actor, act, observe, experts

    def act(self, observations: Any, lanes: Any) -> Any:
        found = self._actor.act(observations, lanes)
        return found if self._act is None else self._act(found)

    def observe(self, transitions: Any, lanes: Any) -> None:
        if self._observe is not None:
            self._observe(transitions)
        self._actor.observe(transitions, lanes)

    @property
    def experts(self) -> Any:
        return self._actor.experts if self._experts is None else self._experts

    @property
    def found(self) -> Any:
        return self._actor.found


def acting(**parts: Any) -> Callable[[LifelongActor, Stage], Acting]:
    return lambda learner, stage: Acting(learner.actor(stage), **parts)


def learning_while_judged(learner: LifelongActor, stage: Stage) -> Acting:
    def observe(transitions: Any) -> None:
        for expert in learner.experts:
            expert.model.learn(transitions)

    return Acting(learner.actor(stage), observe=observe)


def not_before_learning(learner: LifelongActor, stage: Stage) -> Any:
    if not learner.experts:
        raise RuntimeError("I have not lived yet")
    return learner.actor(stage)


def forgetting_what_is_in_doubt(learner: LifelongActor, state: dict[str, Any]) -> None:
    learner.load_state_dict(state)
    learner._stay.lately.blocks.clear()


def whatever(actions: Any) -> Any:
    return np.random.default_rng().integers(0, 2, len(actions))


def loud(learner: LifelongActor, stage: Stage) -> Acting:
    """Draws from the generator that everybody uses."""
    torch.rand(1)
    return Acting(learner.actor(stage))


@pytest.mark.parametrize(
    ("law", "culprit"),
    [
        ("live returns a sequence", lambda: Bent(live_by=lazily)),
        ("an Update first", lambda: Bent(live_by=lambda good, i: [TaskEntered("x", 0), *good.live(i)])),
        ("an Update first", lambda: Bent(live_by=lambda good, i: [*good.live(i), {"loss": 1}])),
        ("an Update first", lambda: Bent(live_by=lambda good, i: [*good.live(i)] * 2)),
        ("takes exactly the steps", lambda: Bent(live_by=a_step_too_few)),
        ("takes exactly the steps", lambda: Bent(live_by=all_in_one_lane)),
        ("resets a lane where it has not begun", lambda: Bent(live_by=beginning_anew)),
        ("loss is one number", lambda: Bent(live_by=update_with(loss=torch.zeros(8)))),
        ("counts the steps", lambda: Bent(live_by=update_with(samples=None))),
        ("acts before any learning", lambda: Bent(actor_by=not_before_learning)),
        ("gives an actor", lambda: Bent(actor_by=lambda good, stage: 7)),
        ("an action for each lane", lambda: Bent(actor_by=acting(act=lambda actions: actions[:1]))),
        ("an expert for each lane", lambda: Bent(actor_by=acting(experts=np.zeros(2)))),
        ("an expert for each lane", lambda: Bent(actor_by=acting(experts=np.zeros(1, np.int64)))),
        ("leaves the learner as it was", lambda: Bent(actor_by=learning_while_judged)),
        ("act the same in the same", lambda: Bent(actor_by=acting(act=whatever))),
        ("judging in between changes nothing", lambda: Bent(live_by=by_chance, actor_by=loud)),
        ("tensors and plain data only", lambda: Bent(save_by=lambda good: {"lately": good._stay.lately})),
        ("goes on as the other did", lambda: Bent(load_by=forgetting_what_is_in_doubt)),
        ("has a size", lambda: Bent(size_by=lambda good: Size(0, 8))),
    ],
)  # fmt: skip
def test_each_law_catches_its_culprit(law: str, culprit: Callable[[], Bent]) -> None:
    with pytest.raises(LawBroken, match=law):
        check_acting_learner(culprit, stream(), experiences=10)


def test_a_state_that_is_only_felt_at_the_end_is_caught() -> None:
    """A count that is not restored changes nothing that is said, and still the state is another one."""

    class Counting(LifelongActor):
        count = 0

        def live(self, interaction: Interaction) -> Any:
            self.count += 1
            return super().live(interaction)

        def state_dict(self) -> dict[str, Any]:
            return super().state_dict() | {"count": self.count}

    with pytest.raises(LawBroken, match=r"ends in the same state.*\.count"):
        check_acting_learner(lambda: Counting(Wandering(), Cusum(), look=64), stream(), experiences=4)


def test_one_experience_is_too_few() -> None:
    with pytest.raises(LawBroken, match="2 or more"):
        check_acting_learner(good, stream(), experiences=1)


def test_streams_of_batches_are_named() -> None:
    class Batches:
        name, tasks, segments = "batches", (), ()

        def experiences(self, start: int = 0) -> Any:
            yield Batch(torch.zeros(2, 3), torch.zeros(2), Contract((3,), 2, Classification())), None

    with pytest.raises(ValueError, match="'batches' gave a Batch"):
        check_acting_learner(good, Batches())
