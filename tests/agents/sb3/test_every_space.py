"""Worlds of every kind of space that Stable-Baselines3 knows: lived in, left, found again, saved and loaded."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from any_spaces import Anything
from gymnasium import spaces
from test_chunks import OFF, ON

from lifelong.acting.learner import LifelongActor
from lifelong.check.law import same, saved
from lifelong.interaction import Interaction, Stage
from lifelong.shift.detector import Shift
from lifelong_agents.sb3.algorithm import Sb3

ROWS = spaces.Box(-1, 1, (3,), np.float32)
SEEN: dict[str, Any] = {
    "rows": ROWS,
    "a table": spaces.Box(-1, 1, (2, 2), np.float32),
    "states": spaces.Discrete(5),
    "several states": spaces.MultiDiscrete([3, 4]),
    "bits": spaces.MultiBinary(4),
    "small pictures": spaces.Box(0, 255, (5, 5, 3), np.uint8),
    "a dict": spaces.Dict([("b", spaces.Box(-1, 1, (2,), np.float32)), ("a", spaces.Discrete(3))]),
    "a dict with a picture": spaces.Dict({"x": ROWS, "p": spaces.Box(0, 255, (36, 36, 1), np.uint8)}),
}
DONE: dict[str, Any] = {
    "one of three": spaces.Discrete(3),
    "numbers": spaces.Box(-2, 3, (2,), np.float32),
    "several choices": spaces.MultiDiscrete([2, 3]),
    "switches": spaces.MultiBinary(2),
}
PPO = ON | {"batch_size": 32, "n_epochs": 1}
CASES = [
    *(("ppo", PPO, seen, "one of three") for seen in SEEN),
    *(("dqn", OFF | {"train_freq": 16}, seen, "one of three") for seen in list(SEEN)[2:]),
    *(("ppo", PPO, "rows", done) for done in list(DONE)[1:]),
    ("sac", OFF | {"train_freq": 16}, "a dict", "numbers"),
]


class Turning(Anything):
    """Pays the opposite from its 160th step on, and again from the 300th."""

    def step(self, action: Any) -> Any:
        self.sign = -1.0 if 160 <= len(self.actions) < 300 else 1.0
        return super().step(action)


class Told:
    """A detector that fires once a value, from the n-th on, and once only for each expert."""

    statistic, threshold = 1.0, 0.5

    def __init__(self, n: int) -> None:
        self.n, self.count = n, 0

    def update(self, value: float) -> Shift | None:
        self.count += 1
        return Shift(1, 1.0, 0.5) if self.count == self.n else None

    def rearm(self) -> None: ...

    def reset(self) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


def others_stand_for_it(case: tuple[Any, ...]) -> bool:
    """Where it must be quick: pictures, and one kind of numbers, are enough of what DQN sees."""
    return case[0] == "dqn" and case[2] not in ("states", "a dict with a picture")


@pytest.mark.parametrize(
    ("algorithm", "settings", "seen", "done"),
    [pytest.param(*case, marks=[pytest.mark.slow] * others_stand_for_it(case)) for case in CASES],
)
def test_it_is_lived_in_left_and_found_again(algorithm: str, settings: Any, seen: str, done: str) -> None:
    lanes = tuple(Turning(deepcopy(SEEN[seen]), DONE[done]) for _ in range(2))
    for k, lane in enumerate(lanes):
        lane.observation_space.seed(k)
    learner = LifelongActor(Sb3(algorithm, settings, seed=1), Told(8), look=32)
    for _ in range(11):
        learner.live(Interaction(lanes, 64))
    assert {len(lane.actions) for lane in lanes} == {11 * 32}
    stage = Stage(lanes[0].observation_space, lanes[0].action_space, 2)
    observations = np.stack([lane.observation for lane in lanes]) if not isinstance(lanes[0].observation, dict) else {
        key: np.stack([lane.observation[key] for lane in lanes]) for key in lanes[0].observation
    }  # fmt: skip
    actions = learner.actor(stage).act(observations, np.arange(2))
    assert all(DONE[done].contains(action) for action in actions)
    twin = LifelongActor(Sb3(algorithm, settings, seed=1), Told(8), look=32)
    twin.load_state_dict(saved(learner))
    same("what is saved is loaded", saved(learner), saved(twin))
    assert np.array_equal(twin.actor(stage).act(observations, np.arange(2)), actions)


def test_what_one_learner_loads_another_goes_on_with_undisturbed() -> None:
    """Also where the state was not copied on the way."""
    lanes = tuple(Turning(ROWS, DONE["one of three"]) for _ in range(2))
    one, other = (LifelongActor(Sb3("ppo", PPO, seed=1), Told(1000), look=32) for _ in range(2))
    for _ in range(4):
        one.live(Interaction(lanes, 64))
    kept = saved(one)
    other.load_state_dict(one.state_dict())
    for _ in range(4):
        other.live(Interaction(deepcopy(lanes), 64))
    same("the first one is as it was", kept, saved(one))
