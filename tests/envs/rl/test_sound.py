"""What an environment gives is taken where it can be understood in one way only, and found out where it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Text

from lifelong_envs.rl.sound import check_of, check_of_steps

ROW = Box(-1.0, 1.0, (2,), np.float32)
PICTURE = Box(0, 255, (2, 2, 3), np.uint8)
NESTED = Dict({"a": ROW, "b": Discrete(3)})
GOOD = np.array([0.5, 7.0], np.float32)

FINE: list[tuple[Space[Any], Any]] = [
    (ROW, GOOD),
    (ROW, GOOD.astype(np.float64)),
    (ROW, np.array([1, 2])),
    (ROW, [0.5, 0.25]),
    (ROW, np.array([3e38, 3e38], np.float32)),
    (ROW, np.zeros((2, 2), np.float32)[:, 0]),
    (Box(-1.0, 1.0, (), np.float32), np.float32(0.5)),
    (Box(-1.0, 1.0, (2, 2), np.float64), np.ones((2, 2))),
    (PICTURE, np.zeros((2, 2, 3), np.uint8)),
    (PICTURE, np.zeros((2, 2, 3), np.int64)),
    (Discrete(3), 2),
    (Discrete(3), np.int64(0)),
    (MultiDiscrete([2, 3]), np.array([1, 2])),
    (MultiBinary(2), np.array([0, 1], np.int8)),
    (NESTED, {"a": GOOD, "b": 1, "more": "of no use"}),
    (Text(4), object()),
]
WRONG: list[tuple[Space[Any], Any, str]] = [
    (ROW, np.array([0.5, np.nan], np.float32), "observation[1] is nan"),
    (ROW, np.array([-np.inf, 0.5]), "observation[0] is -inf"),
    (ROW, np.array([1e300, 0.5]), "observation[0] is inf"),
    (ROW, np.zeros(3, np.float32), "observation is of shape (3,), expected (2,)"),
    (ROW, np.zeros((1, 2), np.float32), "observation is of shape (1, 2), expected (2,)"),
    (ROW, [0.5], "observation is of shape (1,), expected (2,)"),
    (ROW, [0.5, [1.0]], "observation is [0.5, [1.0]], expected an array of shape (2,)"),
    (ROW, None, "observation is of type object, expected float32"),
    (ROW, GOOD.astype(complex), "observation is of type complex128, expected float32"),
    (ROW, np.array(["a", "b"]), "observation is of type <U1, expected float32"),
    (PICTURE, np.zeros((2, 2, 3), np.float32), "observation is of type float32, expected uint8"),
    (Discrete(3), 3, "observation is 3, expected one of Discrete(3)"),
    (MultiDiscrete([2, 3]), np.array([1, 3]), "observation is array([1, 3]), expected one of MultiDiscrete([2 3])"),
    (NESTED, GOOD, "observation is array([0.5, 7. ], dtype=float32), expected a dict with 'a', 'b'"),
    (NESTED, {"a": GOOD}, "observation has no 'b'"),
    (NESTED, {"a": GOOD * np.nan, "b": 0}, "observation['a'][0] is nan"),
]


@pytest.mark.parametrize(("space", "seen"), FINE)
@pytest.mark.filterwarnings("error")
def test_what_can_be_understood_is_taken(space: Space[Any], seen: Any) -> None:
    assert check_of(space)(seen) is None
    assert check_of_steps(space)(seen, 1.0, False, True, {}) is None


@pytest.mark.parametrize(("space", "seen", "said"), WRONG)
@pytest.mark.filterwarnings("error")
def test_what_cannot_is_said(space: Space[Any], seen: Any, said: str) -> None:
    assert check_of(space)(seen) == said
    assert check_of_steps(space)(seen, 1.0, False, True, {}) == said


@pytest.mark.parametrize("reward", [1, 0.5, True, np.float32(2), np.int8(3), np.array(4.0), np.array([5.0]), -3e38])
@pytest.mark.parametrize("flag", [True, np.bool_(False), 0, 1, np.array(True), np.array([0])])
def test_numbers_and_flags_of_any_make_are_taken(reward: Any, flag: Any) -> None:
    assert check_of_steps(ROW)(GOOD, reward, flag, flag, {}) is None


@pytest.mark.parametrize(
    ("place", "given", "said"),
    [
        (1, np.nan, "the reward is nan"),
        (1, -np.inf, "the reward is -inf"),
        (1, 1e39, "the reward is 1e+39"),
        (1, None, "the reward is None, expected a number"),
        (1, "1", "the reward is '1', expected a number"),
        (1, np.ones(2), "the reward is array([1., 1.]), expected a number"),
        (2, "no", "terminated is 'no', expected True or False"),
        (2, None, "terminated is None, expected True or False"),
        (3, 2, "truncated is 2, expected True or False"),
        (3, 0.0, "truncated is 0.0, expected True or False"),
        (3, np.array([True, False]), "truncated is array([ True, False]), expected True or False"),
        (4, None, "info is None, expected a dict"),
    ],
)
def test_what_is_wrong_beside_the_observation_is_said(place: int, given: Any, said: str) -> None:
    step: list[Any] = [GOOD, 1.0, False, False, {}]
    step[place] = given
    assert check_of_steps(ROW)(*step) == said
