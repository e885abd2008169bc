"""Rewards and observations that are no numbers: found in blocks of transitions, and said with where they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lifelong.finite import is_finite, must_be_finite, not_finite
from lifelong.interaction import Transitions

LANES: Any = ("a", "b", "c")


def block(steps: int, **changed: Any) -> Transitions:
    """Of three lanes, with two numbers to be seen."""
    rows = 3 * steps
    parts: dict[str, Any] = {
        "observations": np.zeros((rows, 2), np.float32),
        "actions": np.zeros(rows, np.int64),
        "rewards": np.zeros(rows),
        "next_observations": np.zeros((rows, 2), np.float32),
        "terminated": np.zeros(rows, bool),
        "truncated": np.zeros(rows, bool),
    }
    return Transitions(**(parts | changed))


class Somewhere:
    def whereabouts(self, ago: int) -> str:
        return f"somewhere {ago} steps ago"


def test_what_is_finite_is_passed() -> None:
    must_be_finite(block(4), LANES)
    must_be_finite(block(4, next_observations=np.full((12, 2), 255, np.uint8)), LANES)
    assert is_finite({"a": np.ones(2), "b": np.array([3])})
    assert not is_finite({"a": np.ones(2), "b": np.array([np.inf])})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_lane_and_the_step_are_found(bad: float) -> None:
    for row in range(12):
        rewards = np.zeros(12)
        rewards[row:] = bad
        said = not_finite(block(4, rewards=rewards), LANES)
        assert said is not None
        assert said.startswith(f"lane {row % 3}, {3 - row // 3} steps ago: the reward is {bad}. ")
    seen = np.zeros((12, 2), np.float32)
    seen[7, 1] = bad
    with pytest.raises(ValueError, match=rf"^lane 1, 1 steps ago: observation\[1\] is {bad}\. .* a `view`"):
        must_be_finite(block(4, next_observations=seen), LANES)


def test_a_lane_that_knows_where_it_was_is_asked() -> None:
    seen = {"x": np.zeros((6, 2)), "y": np.zeros((6, 1))}
    seen["y"][2] = np.nan
    lanes: Any = [Somewhere()] * 3
    said = not_finite(block(2, observations=seen, next_observations=seen), lanes)
    assert said is not None
    assert said.startswith("somewhere 1 steps ago: observation['y'][0] is nan. ")
