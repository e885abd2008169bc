"""Returns of episodes, read off transitions as they come."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np
import pytest

from lifelong.acting.returns import Returns
from lifelong.check.law import saved
from lifelong.interaction import Transitions


def life(steps: int, lanes: int, seed: int = 0) -> Transitions:
    draw = np.random.default_rng(seed)
    count, none = steps * lanes, np.zeros(steps * lanes)
    rewards = draw.integers(-9, 9, count).astype(np.float32)
    return Transitions(none, none, rewards, none, draw.random(count) < 0.15, draw.random(count) < 0.15)


def one_by_one(life: Transitions, lanes: int) -> list[float]:
    running, found = [0.0] * lanes, []
    for k in range(len(life)):
        running[k % lanes] += float(life.rewards[k])
        if life.terminated[k] or life.truncated[k]:
            found.append(running[k % lanes])
            running[k % lanes] = 0.0
    return found


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("block", [1, 2, 7, 40])
def test_they_are_what_adding_up_gives_however_the_life_is_cut(lanes: int, block: int) -> None:
    whole = life(40, lanes)
    returns, found = Returns(), []
    for first in range(0, 40 * lanes, block * lanes):
        found += returns.update(whole.rows(slice(first, first + block * lanes)), lanes)
    assert found == one_by_one(whole, lanes)
    assert len(found) > 5
    assert returns.taken() == pytest.approx(np.mean(found))


def test_where_no_episode_ended_there_is_none() -> None:
    returns = Returns()
    assert math.isnan(returns.taken())
    returns.update(life(40, 2), 2)
    assert not math.isnan(returns.taken())
    # They are told once.
    assert math.isnan(returns.taken())


def test_another_number_of_lanes_begins_anew() -> None:
    returns = Returns()
    returns.update(life(40, 2), 2)
    assert returns.update(life(40, 3), 3) == one_by_one(life(40, 3), 3)


def test_what_is_saved_goes_on_as_the_other_would() -> None:
    first, second = life(40, 2), life(40, 2, seed=1)
    one, other = Returns(), Returns()
    one.update(first, 2)
    other.load_state_dict(deepcopy(saved(one)))
    assert other.update(second, 2) == one.update(second, 2)
    assert other.taken() == one.taken()
