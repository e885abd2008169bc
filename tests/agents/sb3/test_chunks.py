"""Policies that are Stable-Baselines3 models: the steps they are given, and everything that they did shown once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from marked_worlds import Marked, marked, rows_lived, rows_of

from lifelong.interaction import Stage, Transitions
from lifelong_agents.sb3.algorithm import Sb3
from lifelong_agents.sb3.policy import Sb3Policy

OFF: dict[str, Any] = {"learning_starts": 20, "batch_size": 8, "buffer_size": 4000, "policy_kwargs": {"net_arch": [8]}}
ON: dict[str, Any] = {"n_steps": 16, "policy_kwargs": {"net_arch": [8]}}
CASES: dict[str, tuple[str, dict[str, Any], int, bool]] = {
    # algorithm, settings, lanes, whether actions are numbers
    "ppo": ("ppo", ON | {"batch_size": 64, "n_epochs": 1}, 4, False),
    "ppo numbers": ("ppo", ON | {"batch_size": 64, "n_epochs": 1}, 4, True),
    "a2c": ("a2c", ON | {"n_steps": 5}, 4, False),
    "dqn": ("dqn", OFF | {"train_freq": 1}, 4, False),
    "dqn rarely": ("dqn", OFF | {"train_freq": 7}, 4, False),
    "dqn by episodes": ("dqn", OFF | {"train_freq": [2, "episode"]}, 1, False),
    "sac": ("sac", OFF | {"train_freq": 3}, 4, True),
    "sac by episodes": ("sac", OFF | {"train_freq": [1, "episode"]}, 1, True),
    "td3": ("td3", OFF | {"train_freq": [5, "step"]}, 1, True),
}
ODD = [9, 1, 25, 64, 3, 128, 16, 50]
"""Steps of each lane in one interaction after the other."""


def policy(case: str) -> tuple[Sb3Policy, tuple[Marked, ...]]:
    name, settings, lanes, numbers = CASES[case]
    made = marked(lanes, numbers=numbers)
    stage = Stage(made[0].observation_space, made[0].action_space, lanes)
    return Sb3(name, settings, seed=1).spawn(0, stage), made


class Watching:
    """Keeps what it is shown, and says stop with certain blocks."""

    def __init__(self, *alarms: int) -> None:
        self.blocks: list[Transitions] = []
        self.alarms = alarms

    def __call__(self, block: Transitions) -> bool:
        self.blocks.append(block)
        return len(self.blocks) in self.alarms


def live(policy: Sb3Policy, lanes: Sequence[Marked], steps: int, watch: Watching, look: int = 24) -> int:
    taken = policy.live(lanes, steps * len(lanes), look, watch)
    assert taken % len(lanes) == 0
    return taken // len(lanes)


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_steps_are_taken_and_each_is_shown_once_as_it_was(case: str) -> None:
    made, lanes = policy(case)
    watch, lived = Watching(), 0
    for steps in ODD:
        assert live(made, lanes, steps, watch) == steps
        lived += steps
        assert {lane.steps for lane in lanes} == {lived}
        assert made.model.num_timesteps == lived * len(lanes)
    # The 296 steps went through whole episodes, ended and cut short ones.
    assert {lane.episode for lane in lanes} == {lived // 25}
    each = -(-24 // len(lanes))
    whole = rows_lived(lanes)[: lived // each * each * len(lanes)]
    assert rows_of(watch.blocks) == whole
    assert {row[4] for row in whole} == {row[5] for row in whole} == {False, True}
    assert {len(block) for block in watch.blocks} == {each * len(lanes)}


@pytest.mark.parametrize("case", CASES)
def test_an_alarm_stops_at_once_and_the_rest_can_still_be_taken(case: str) -> None:
    made, lanes = policy(case)
    watch = Watching(2, 3, 11)
    each = -(-24 // len(lanes))
    assert live(made, lanes, 200, watch) == 2 * each
    assert live(made, lanes, 200 - 2 * each, watch) == each
    rest = 200 - 3 * each
    assert live(made, lanes, rest, watch) == min(8 * each, rest)
    assert live(made, lanes, 200, Watching()) == 200
    assert len({lane.steps for lane in lanes}) == 1


@pytest.mark.parametrize("case", [name for name, (kind, *_) in CASES.items() if kind not in ("ppo", "a2c")])
def test_a_replay_buffer_holds_what_was_lived_and_nothing_else(case: str) -> None:
    """Also after steps that do not go into collections, and after alarms."""
    made, lanes = policy(case)
    watch = Watching(4)
    for steps in ODD:
        live(made, lanes, steps, watch)
    buffer = made.model.replay_buffer  # type: ignore[attr-defined]
    kept = [
        [buffer.observations[t, k].tolist(), buffer.next_observations[t, k].tolist(), float(buffer.rewards[t, k])]
        for t in range(buffer.pos)
        for k in range(len(lanes))
    ]
    lived = [[before, after, reward] for before, _, reward, after, _, _ in rows_lived(lanes)]
    at = {tuple(row[0]): row for row in lived}
    assert all(at[tuple(row[0])] == row for row in kept)
    assert len(kept) == len({tuple(row[0]) for row in kept})
    # The alarm costs the step that it comes with.
    assert len(kept) == len(lived) - len(lanes)


@pytest.mark.parametrize("case", [name for name, (kind, *_) in CASES.items() if kind in ("ppo", "a2c")])
def test_rollouts_hold_what_was_lived_also_the_short_ones(case: str) -> None:
    made, lanes = policy(case)
    model, seen = made.model, []

    def train() -> None:
        buffer = model.rollout_buffer  # type: ignore[attr-defined]
        seen.append((buffer.observations.copy(), buffer.buffer_size))

    model.train = train  # type: ignore[attr-defined]
    for steps in ODD:
        live(made, lanes, steps, Watching())
    shown = np.concatenate([observations for observations, _ in seen])
    lived = np.array([row[0] for row in rows_lived(lanes)]).reshape(-1, len(lanes), 4)
    assert (shown == lived).all()
    length = model.n_steps  # type: ignore[attr-defined]
    assert [size for _, size in seen] == [
        size for steps in ODD for size in [length] * (steps // length) + [steps % length] if size
    ]


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("a2c", ON | {"normalize_advantage": True}),
        ("ppo", ON | {"batch_size": 16, "n_epochs": 1}),
        ("trpo", ON | {"batch_size": 16}),
    ],
)
def test_a_single_transition_spoils_nothing(algorithm: str, settings: dict[str, Any]) -> None:
    """Advantages of one alone have no spread to be divided by."""
    if algorithm == "trpo":
        pytest.importorskip("sb3_contrib")
    lanes, watch = marked(1), Watching()
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 1)
    made, updates = Sb3(algorithm, settings, seed=1).spawn(0, stage), []
    model: Any = made.model
    train = model.train
    model.train = lambda: updates.append(model.rollout_buffer.buffer_size) or train()
    for steps in (1, 17, 1, 33, 16, 2, 1):
        live(made, lanes, steps, watch, look=1)
    assert updates == [17, 16, 17, 16, 2]
    assert all(bool(torch.isfinite(p).all()) for p in model.policy.parameters())
    assert rows_of(watch.blocks) == rows_lived(lanes)


@pytest.mark.parametrize("freq", [1000, [3, "episode"]])
def test_collections_longer_than_an_interaction_are_learned_from_all_the_same(freq: Any) -> None:
    lanes = marked(1, numbers=True)
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 1)
    made = Sb3("sac", OFF | {"train_freq": freq, "gradient_steps": -1}, seed=1).spawn(0, stage)
    for _ in range(4):
        # The ends of episodes are those of interactions.
        live(made, lanes, 50, Watching())
    # As many updates as steps were taken.
    assert made.model._n_updates == 200
    assert made.model.train_freq[0] == (freq if freq == 1000 else 3)


@pytest.mark.parametrize("case", ["ppo", "sac"])
def test_another_policy_goes_on_where_the_lanes_stand(case: str) -> None:
    name, settings, count, numbers = CASES[case]
    lanes = marked(count, numbers=numbers)
    algorithm = Sb3(name, settings, seed=1)
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, count)
    policies = [algorithm.spawn(number, stage) for number in range(2)]
    watch = Watching(2, 5, 9)
    for turn in range(6):
        policies[turn % 2].enter()
        live(policies[turn % 2], lanes, 37, watch)
    assert [lane.episode for lane in lanes] == [lanes[0].steps // 25] * count
    each = -(-24 // count) * count
    lived = rows_lived(lanes)
    assert rows_of(watch.blocks) == lived[: len(lived) // each * each]


@pytest.mark.filterwarnings("error")
def test_nothing_is_warned_of_that_nobody_can_help() -> None:
    made, lanes = policy("a2c")
    live(made, lanes, 20, Watching())


def test_actors_change_nothing_and_act_alike() -> None:
    for case in ("ppo", "dqn", "sac"):
        made, lanes = policy(case)
        live(made, lanes, 64, Watching())
        observations = np.stack([lane.observation for lane in lanes])
        before = np.random.get_state()[1].tolist()
        first = made.act(observations)
        assert first.shape[0] == len(lanes)
        assert (made.act(observations) == first).all()
        assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize("case", CASES)
def test_other_lanes_of_the_same_kind_are_begun_where_they_have_not(case: str) -> None:
    made, lanes = policy(case)
    live(made, lanes, 30, Watching())
    others, watch = marked(len(lanes), numbers=CASES[case][3]), Watching()
    live(made, others, 48, watch)
    assert rows_of(watch.blocks) == rows_lived(others)
    assert {lane.steps for lane in lanes} == {30}
