"""Spaces made one: padding, projection, more actions than a world has, and permutations that undo each other."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from acting import lane, live, telltale
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from lifelong_envs.rl.joined import Shown, joined
from lifelong_envs.rl.timetable import Change, Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

ONE = Discrete(2)


def box(*shape: int, low: float = -1.0, high: float = 1.0) -> Box:
    return Box(low, high, shape, np.float32)


def shown(a: Any, b: Any, join: Any = "none", actions: tuple[Any, Any] = (ONE, ONE)) -> Shown:
    """Two worlds A and B with these observations and actions."""
    return joined([World("A", "x"), World("B", "x")], {"A": (a, actions[0]), "B": (b, actions[1])}, join)


def test_equal_spaces_stay_and_cost_nothing() -> None:
    images = Box(0, 255, (8, 8, 3), np.uint8)
    found = shown(images, images, "pad")
    assert found.observations == images
    assert found.actions == ONE
    assert set(found.observe.values()) == set(found.act.values()) == {None}


def test_boxes_of_one_shape_take_the_widest_bounds() -> None:
    found = shown(box(2, low=-1, high=5), box(2, low=-3, high=2))
    assert found.observations == box(2, low=-3, high=5)
    assert set(found.observe.values()) == {None}


def test_padding_adds_zeros_up_to_the_largest() -> None:
    found = shown(box(2, 2, low=1, high=2), box(6, low=-5, high=-3), "pad")
    assert isinstance(found.observations, Box)
    assert found.observations.low.tolist() == [-5] * 6
    assert found.observations.high.tolist() == [2] * 4 + [0] * 2
    assert found.observe["A"]
    assert found.observe["A"](np.array([[1, 2], [3, 4]], np.float32)).tolist() == [1, 2, 3, 4, 0, 0]
    assert found.observe["B"] is None


def test_a_projection_keeps_lengths_and_angles_and_is_always_the_same() -> None:
    found, again = shown(box(3), box(7), "project"), shown(box(3), box(7), "project")
    draw = np.random.default_rng(0)
    for task, size in (("A", 3), ("B", 7)):
        rows = draw.standard_normal((5, size)).astype(np.float32)
        observe = found.observe[task]
        assert observe
        turned = np.stack([observe(row) for row in rows])
        assert turned.shape == (5, 7)
        assert turned.dtype == np.float32
        np.testing.assert_allclose(turned @ turned.T, rows @ rows.T, atol=1e-5)
        assert np.abs(turned[:, :size] - rows).max() > 0.1
        assert np.array_equal(turned, np.stack([again.observe[task](row) for row in rows]))  # type: ignore[misc]


def test_a_projection_turns_permuted_vectors_like_permuting_them_first() -> None:
    plain = World("A", "x")
    odd = World("B", "x", observations=(2, 0, 1), flip_observations=(1,))
    large = World("C", "x")
    own = {"A": (box(3), ONE), "B": (box(3), ONE), "C": (box(5), ONE)}
    found = joined([plain, odd, large], own, "project")
    seen = np.array([0.1, 0.2, 0.3], np.float32)
    permuted = np.array([0.3, -0.1, 0.2], np.float32)
    np.testing.assert_allclose(found.observe["B"](seen), found.observe["A"](permuted), atol=1e-6)  # type: ignore[misc]


def test_an_action_that_a_world_has_not_is_taken_modulo() -> None:
    found = shown(box(2), box(2), "pad", (Discrete(3), Discrete(5)))
    assert found.actions == Discrete(5)
    assert found.act["A"]
    assert [found.act["A"](action) for action in range(5)] == [0, 1, 2, 0, 1]
    assert found.act["B"] is None


def test_continuous_actions_are_stretched_and_the_last_ones_left_out() -> None:
    small = Box(np.array([0, -2], np.float32), np.array([4, 2], np.float32))
    found = shown(box(2), box(2), "pad", (small, box(3)))
    assert found.actions == box(3)
    assert found.act["A"]
    assert found.act["A"](np.array([-1, 1, 0.7], np.float32)).tolist() == [0, 2]
    assert found.act["A"](np.array([0.5, 0, -1], np.float32)).tolist() == [3, 0]
    assert found.act["B"] is None


@pytest.mark.parametrize(
    ("a", "b", "join", "actions", "said"),
    [
        (box(2), box(3), "none", (ONE, ONE), "the same observations.*'A' Box.*'B' Box.*Set join to pad or project"),
        (box(2), Dict({"x": box(2)}), "pad", (ONE, ONE), "the same observations.*Only Boxes with Boxes"),
        (box(2), Discrete(4), "pad", (ONE, ONE), "the same observations.*Only Boxes with Boxes"),
        (box(2), box(2), "none", (ONE, Discrete(3)), "the same actions.*Set join to pad or project"),
        (box(2), box(2), "pad", (ONE, box(3)), "the same actions.*'A' Discrete.*'B' Box.*Only Boxes with Boxes"),
        (box(2), box(2), "pad", (box(2), box(3, high=np.inf)), "the same actions.*bounded ones"),
        (box(2), box(2), "none", (Dict({"x": ONE}),) * 2, "actions are Dict.*flattens"),
        (box(2), box(2), "glue", (ONE, ONE), "join='glue', expected one of 'none', 'pad', 'project'"),
    ],
)
def test_what_cannot_be_joined_is_refused(a: Any, b: Any, join: str, actions: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shown(a, b, join, actions)


@pytest.mark.parametrize("order", [(1, 0), (0, 1)])
def test_discrete_actions_change_places(order: tuple[int, ...]) -> None:
    one = lane([telltale("A", 1.0, actions=order)], Change(0, "A"))
    one.reset()
    sums = [one.step(action)[0][1] for action in (0, 1, 1)]
    assert sums == np.cumsum([order[action] for action in (0, 1, 1)]).tolist()


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2)])
def test_a_permutation_and_its_inverse_undo_each_other(order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    """An action through one world, then what it shows through the same permutation of observations: as it was."""
    make = {"low": (-1.0,) * 3, "high": (1.0,) * 3}
    same = World(
        "A", "toy_worlds:Pushed", make, actions=order, flip_actions=flips, observations=order, flip_observations=flips
    )
    one = lane([same], Change(0, "A"))
    one.reset()
    action = np.array([0.25, -0.5, 0.75], np.float32)
    assert one.step(action)[0].tolist() == action.tolist()
    done = lane([World("A", "toy_worlds:Pushed", make, actions=order, flip_actions=flips)], Change(0, "A"))
    done.reset()
    shown = done.step(action)[0]
    for i, place in enumerate(order):
        assert shown[place] == (-action[i] if i in flips else action[i])


def test_a_mirrored_action_stays_in_its_range_and_one_that_moves_takes_the_range_of_its_new_place() -> None:
    make = {"low": (0.0, -4.0), "high": (1.0, 4.0)}
    one = lane([World("A", "toy_worlds:Pushed", make, flip_actions=(0,))], Change(0, "A"))
    one.reset()
    assert one.step(np.array([0.25, 3.0], np.float32))[0].tolist() == [0.75, 3.0]
    moved = lane([World("A", "toy_worlds:Pushed", make, actions=(1, 0))], Change(0, "A"))
    moved.reset()
    assert moved.step(np.array([0.25, 2.0], np.float32))[0].tolist() == [0.75, -2.0]


def test_permuted_observations_have_permuted_bounds() -> None:
    first = Box(np.array([-1, 2], np.float32), np.array([0, 3], np.float32))
    odd = World("A", "x", observations=(1, 0), flip_observations=(0,))
    found = joined([odd], {"A": (first, ONE)})
    assert found.observations == Box(np.array([-3, -1], np.float32), np.array([-2, 0], np.float32))
    assert found.observe["A"](np.array([-0.5, 2.5], np.float32)).tolist() == [-2.5, -0.5]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("more", "space", "said"),
    [
        ({"actions": (1, 0)}, (box(2), Discrete(3)), "actions permutes 2 of them, but there are 3"),
        ({"actions": (1, 0)}, (box(2), box(3)), "actions permutes 2 of them, but there are 3"),
        ({"actions": (1, 0)}, (box(2), MultiDiscrete([2, 2])), "only Discrete and Box actions"),
        ({"flip_actions": (0,)}, (box(2), ONE), "flip_actions turns components of a Box"),
        ({"flip_actions": (2,)}, (box(2), box(2)), "flip_actions names 2, but there are 0 to 1"),
        ({"observations": (1, 0)}, (box(3), ONE), "observations permutes 2 entries, but there are 3"),
        (
            {"observations": (1, 0)},
            (box(2, 2), ONE),
            "observations can be permuted and turned only where they are a vector",
        ),
        ({"flip_observations": (-1,)}, (box(2), ONE), "flip_observations names -1"),
    ],
)
def test_a_permutation_that_does_not_fit_is_refused(more: dict[str, Any], space: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"world 'A': {said}"):
        joined([World("A", "x", **more)], {"A": space})


@pytest.mark.parametrize("join", ["pad", "project"])
def test_worlds_of_different_bodies_are_lived_in_through_one_pair_of_spaces(join: Any) -> None:
    bodies = World("A", "CartPole-v1"), World("B", "Acrobot-v1"), World("C", "MountainCar-v0")
    stream = worlds(bodies, Timetable(None, 120, lanes=2, experience=40, change="reset"), join=join)
    assert stream.tasks[0].lanes(1)[0].observation_space.shape == (6,)
    for interaction, truth in stream.experiences():
        assert interaction.action_space == Discrete(3)
        for one in interaction.lanes:
            for observation, reward, *_ in live(one, 20):
                assert len(observation) == 6
                assert reward == (1.0 if truth.task == "A" else -1.0)
    space = stream.tasks[2].lanes(1)[0].observation_space
    mountain = gymnasium.make("MountainCar-v0")
    first = mountain.reset(seed=4)[0]
    seen = stream.tasks[2].lanes(1)[0].reset(seed=4)[0]
    assert space.contains(seen)
    assert np.linalg.norm(seen) == pytest.approx(np.linalg.norm(first), abs=1e-6)


def test_a_world_with_more_actions_than_others_is_stepped_by_its_own() -> None:
    few, many = telltale("A", 1.0), World("B", "toy_worlds:Telltale", make={"actions": 4, "gain": 2.0})
    stream = worlds((few, many), Timetable(None, 10, lanes=1, experience=10, change="reset"), join="pad")
    seen = []
    for interaction, _ in stream.experiences():
        one = interaction.lanes[0]
        one.reset()
        seen.append([one.step(action)[0][1] for action in (3, 2, 1)])
        live(one, 7)
    assert seen == [[1, 1, 2], [3, 5, 6]]


def test_actions_are_the_environments_own_kind() -> None:
    pendulum = lane([World("A", "Pendulum-v1")], Change(0, "A"))
    pendulum.reset()
    bare = gymnasium.make("Pendulum-v1")
    bare.reset(seed=0)
    wide = np.array([0.3], np.float64)
    assert pendulum.step(wide)[0].tolist() == bare.step(wide.astype(np.float32))[0].tolist()
