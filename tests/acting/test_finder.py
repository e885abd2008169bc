"""An actor that finds out from what its actions do whose world it is in."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from random_life import random_life

from lifelong.acting.expert import ActingExpert, Kind
from lifelong.acting.finder import Finder
from lifelong.acting.world_model import WorldModel
from lifelong.episodes import play
from lifelong.interaction import Actor, Stage, Transitions
from lifelong.stream import EnvTask

CARTPOLE = gymnasium.make("CartPole-v1")
KIND = Kind.of(CARTPOLE.observation_space, CARTPOLE.action_space)


class Own:
    """Each row is answered by a number of one's own plus the row's last number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked: list[int] = []

    def act(self, observations: Any) -> Any:
        rows = observations["x"] if isinstance(observations, dict) else observations
        self.asked.append(len(rows))
        return np.array([self.number + int(row[-1]) for row in rows])


class Balancing:
    """Pushes the cart to where its pole falls, in a world or in the one where actions are swapped."""

    def __init__(self, swapped: bool) -> None:
        self.swapped = swapped

    def act(self, observations: Any) -> Any:
        right = (observations[:, 2] + 0.3 * observations[:, 3] > 0).astype(np.int64)
        return 1 - right if self.swapped else right


def expert(number: int, swap: bool, policy: Any = None, steps: int = 1024) -> ActingExpert:
    model = WorldModel(KIND.encoding)
    data = random_life("CartPole-v1", steps, seed=number, swap=swap)
    for first in range(0, steps, 128):
        model.learn(data.rows(slice(first, first + 128)))
    return ActingExpert(number, KIND, policy or Own(10 * number), model, None)


@pytest.fixture(scope="module")
def experts() -> list[ActingExpert]:
    """Of CartPole, and of CartPole with swapped actions."""
    return [expert(0, False, Balancing(False)), expert(1, True, Balancing(True))]


def stage(lanes: int) -> Stage:
    return Stage(CARTPOLE.observation_space, CARTPOLE.action_space, lanes)


def steps_of(data: Transitions, lanes: int) -> list[Transitions]:
    return [data.rows(slice(first, first + lanes)) for first in range(0, len(data), lanes)]


def beside(one: Transitions, other: Transitions, lanes: int) -> list[Transitions]:
    """Step by step: the first half of the lanes of one world, the other half of the other's."""
    half = lanes // 2
    pairs = zip(steps_of(one, lanes), steps_of(other, lanes), strict=True)
    return [Transitions.joined([a.rows(slice(0, half)), b.rows(slice(half, None))]) for a, b in pairs]


def test_it_finds_the_expert_of_each_lanes_own_world_within_a_few_steps(experts: list[ActingExpert]) -> None:
    plain, swapped = (random_life("CartPole-v1", 8 * 10, 50, 8, swap) for swap in (False, True))
    for order in ([0, 1], [1, 0]):
        actor = Finder([experts[i] for i in order], stage(8))
        assert isinstance(actor, Actor)
        assert actor.experts.tolist() == [order[0]] * 8
        for step in beside(plain, swapped, 8):
            actor.observe(step, np.arange(8))
        assert actor.experts.tolist() == [0] * 4 + [1] * 4
        assert len(actor.found) == 4
        for found in actor.found:
            assert (found.expert, found.instead_of) == (order[1], order[0])
            assert 1 <= found.steps <= 3


def test_lanes_that_ended_are_left_alone(experts: list[ActingExpert]) -> None:
    """Numbers of lanes that go on are given with each step, in any order."""
    swapped = random_life("CartPole-v1", 4 * 10, 50, 4, True)
    actor = Finder(experts, stage(6))
    for step in steps_of(swapped, 4):
        actor.observe(step.rows(np.array([0, 2])), np.array([5, 1]))
    assert actor.experts.tolist() == [0, 1, 0, 0, 0, 1]


def test_in_its_own_world_it_stays(experts: list[ActingExpert]) -> None:
    actor = Finder(experts, stage(4))
    for step in steps_of(random_life("CartPole-v1", 4 * 60, 50, 4), 4):
        actor.observe(step, np.arange(4))
    assert actor.experts.tolist() == [0] * 4
    assert actor.found == []


def test_each_lane_is_answered_by_the_expert_that_acts_there(experts: list[ActingExpert]) -> None:
    policies = Own(10), Own(20)
    two = [ActingExpert(e.number, KIND, p, e.model, None) for e, p in zip(experts, policies, strict=True)]
    actor = Finder(two, stage(8))
    for step in beside(*(random_life("CartPole-v1", 8 * 10, 50, 8, swap) for swap in (False, True)), 8):
        actor.observe(step, np.arange(8))
    rows = np.zeros((4, 4))
    rows[:, -1] = [1, 2, 3, 4]
    for observations in (rows, {"x": rows}):
        assert actor.act(observations, np.array([7, 0, 5, 1])).tolist() == [21, 12, 23, 14]
    # One question to each, not one for each lane.
    assert policies[0].asked == policies[1].asked == [2, 2]
    assert actor.act(rows, np.arange(4)).tolist() == [11, 12, 13, 14]


def test_judged_in_the_other_world_it_begins_as_the_wrong_one_and_still_balances(experts: list[ActingExpert]) -> None:
    class Swapped(gymnasium.ActionWrapper):
        def action(self, action: Any) -> Any:
            return 1 - action

    class Learner:
        def actor(self, stage: Stage) -> Actor:
            return Finder(experts, stage)

    task = EnvTask("B", lambda n: [Swapped(gymnasium.make("CartPole-v1")) for _ in range(n)], episodes=5)
    judged = play(Learner(), task)
    assert judged.value == 500.0
    routed = dict(judged.routed)
    assert routed[1] == 2500 - routed[0]
    assert routed[0] <= 5 * 5
    assert len(judged.found) == 5


def test_it_learns_nothing_and_changes_nobody(experts: list[ActingExpert]) -> None:
    before = [deepcopy(e.model.state_dict()) for e in experts]
    actor = Finder(experts, stage(4))
    swapped = random_life("CartPole-v1", 4 * 20, 50, 4, True)
    for step in steps_of(swapped, 4):
        actor.act(step.observations, np.arange(4))
        actor.observe(step, np.arange(4))
    for kept, e in zip(before, experts, strict=True):
        now = e.model.state_dict()
        assert all((kept[name] == now[name]).all() for name in ("square", "cross", "weights", "doubt"))
        assert (kept["noise"], kept["counts"]) == (now["noise"], now["counts"])
    # A new actor begins with the same guess.
    assert Finder(experts, stage(4)).experts.tolist() == [0] * 4


def test_who_has_hardly_seen_a_world_is_neither_compared_nor_left(experts: list[ActingExpert]) -> None:
    young = expert(2, True, steps=128)
    assert not young.model.is_ready
    swapped = steps_of(random_life("CartPole-v1", 4 * 20, 50, 4, True), 4)
    for order, acts in (([experts[0], young, experts[1]], 1), ([young, experts[0], experts[1]], 2)):
        actor = Finder(order, stage(4))
        for step in swapped:
            actor.observe(step, np.arange(4))
        assert actor.experts.tolist() == [acts] * 4


@pytest.mark.parametrize(
    "space",
    [spaces.Discrete(3, start=4), spaces.Box(-2, 2, (2,)), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)],
    ids=str,
)
def test_without_experts_it_acts_at_random_by_the_space(space: Any) -> None:
    asked = Stage(CARTPOLE.observation_space, space, 3)
    state = deepcopy(space.np_random.bit_generator.state)
    actor, again = Finder([], asked), Finder([], asked)
    lanes = np.arange(3)
    answers = [actor.act(np.zeros((3, 4)), lanes) for _ in range(30)]
    assert all(space.contains(action) for answer in answers for action in answer)
    assert len({str(answer) for answer in answers}) > 5
    # The same each time, and nobody's generator is moved.
    assert [str(again.act(np.zeros((3, 4)), lanes)) for _ in range(30)] == [str(answer) for answer in answers]
    assert space.np_random.bit_generator.state == state
    assert actor.experts.tolist() == [-1] * 3
    actor.observe(random_life("CartPole-v1", 4).rows(slice(0, 3)), lanes)
    assert actor.found == []


def test_lanes_that_go_on_alone_get_an_action_each() -> None:
    actor = Finder([], stage(5))
    assert actor.act(np.zeros((2, 4)), np.array([4, 1])).shape == (2,)
