"""What a learner is given where it may act, and what its steps showed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from sides import Sides

from lifelong.interaction import Interaction, Transitions


def lanes(count: int) -> tuple[Any, ...]:
    return tuple(Sides() for _ in range(count))


def test_an_interaction_has_the_spaces_of_its_lanes() -> None:
    made = lanes(3)
    interaction = Interaction(made, 12)
    assert interaction.observation_space is made[0].observation_space
    assert interaction.action_space is made[0].action_space
    assert (interaction.task, interaction.boundary) == (None, False)


def test_it_needs_a_lane() -> None:
    with pytest.raises(ValueError, match="at least one lane"):
        Interaction((), 4)


@pytest.mark.parametrize(("steps", "near"), [(10, 9), (11, 12), (1, 3), (0, 3), (-4, 3)])
def test_steps_are_shared_out_evenly_or_the_nearest_that_are_is_named(steps: int, near: int) -> None:
    with pytest.raises(ValueError, match=rf"its 3 lanes, got {steps} in all: give a multiple of 3, such as {near}\."):
        Interaction(lanes(3), steps)


@pytest.mark.parametrize(("name", "space"), [("observation_space", Box(-1, 1, (3,))), ("action_space", Discrete(3))])
def test_lanes_have_equal_spaces(name: str, space: Any) -> None:
    made = lanes(2)
    setattr(made[1], name, space)
    with pytest.raises(ValueError, match="must have equal observation and action spaces"):
        Interaction(made, 4)
    # Equal ones need not be the same object.
    setattr(made[1], name, Box(-1.0, 1.0, (2,), np.float32) if name == "observation_space" else Discrete(2))
    assert Interaction(made, 4)


def life(first: int, count: int, named: bool = False) -> Transitions:
    numbers = np.arange(first, first + count)
    seen: Any = numbers[:, None] * np.ones(2)
    after: Any = seen + 0.5
    if named:
        seen, after = {"a": seen, "b": numbers}, {"a": after, "b": numbers}
    return Transitions(seen, numbers, numbers * 2.0, after, numbers % 2 == 0, numbers % 3 == 0)


def same(one: Transitions, other: Transitions) -> None:
    for name in Transitions.__slots__:
        a, b = getattr(one, name), getattr(other, name)
        for x, y in zip(a.values(), b.values(), strict=True) if isinstance(a, dict) else [(a, b)]:
            assert x.dtype == y.dtype
            assert x.tolist() == y.tolist()


@pytest.mark.parametrize("named", [False, True])
def test_rows_are_chosen_by_slices_places_and_masks_and_joined_again(named: bool) -> None:
    whole = life(0, 6, named)
    assert len(whole) == 6
    same(whole.rows(slice(2, 5)), life(2, 3, named))
    same(whole.rows(np.array([4, 5])), life(4, 2, named))
    same(whole.rows(np.arange(6) < 2), life(0, 2, named))
    same(Transitions.joined([life(0, 2, named), life(2, 3, named), life(5, 1, named)]), whole)
    assert len(whole.rows(np.zeros(6, bool))) == 0
