"""Rows of numbers for spaces of any kind, and spaces as plain data."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from lifelong.acting.encoding import MOST_CHOICES, WIDEST, Encoding, count_of, same_kind
from lifelong.acting.spaces import plain_space, space_of
from lifelong.check.law import saved

TWO = spaces.Discrete(2)


def rows(space: Any, *values: Any) -> list[list[float]]:
    batch = {key: np.stack([v[key] for v in values]) for key in values[0]} if isinstance(values[0], dict) else values
    found = Encoding(space, TWO).observations(batch if isinstance(batch, dict) else np.array(batch))
    assert found.dtype == np.float64
    return found.tolist()


def test_numbers_stay_as_they_are_and_bytes_of_pictures_become_shares() -> None:
    assert rows(spaces.Box(-9, 9, (2, 2)), [[1, 2], [3, 4]], [[5, 6], [7, 8]]) == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert rows(spaces.Box(0, 255, (1, 2), np.uint8), [[0, 255]]) == [[0.0, 1.0]]
    # MiniGrid's pictures are small numbers in bytes.
    assert rows(spaces.Box(0, 10, (2,), np.uint8), [3, 10]) == [[3.0, 10.0]]


def test_choices_become_one_hots_from_their_start() -> None:
    assert rows(spaces.Discrete(3, start=5), 5, 7) == [[1, 0, 0], [0, 0, 1]]
    assert rows(spaces.MultiDiscrete([2, 3]), [0, 2]) == [[1, 0, 0, 0, 1]]
    assert rows(spaces.MultiDiscrete([2, 3], start=[4, -1]), [5, -1]) == [[0, 1, 1, 0, 0]]
    assert rows(spaces.MultiBinary(3), [1, 0, 1]) == [[1, 0, 1]]


def test_parts_of_a_dict_stand_beside_each_other_in_the_order_of_their_names() -> None:
    space = spaces.Dict([("b", spaces.Discrete(2)), ("a", spaces.Box(-1, 1, (2,)))])
    assert rows(space, {"a": np.array([0.5, 0.25]), "b": 1}) == [[0.5, 0.25, 0, 1]]


def test_actions_are_places_where_they_are_few_and_numbers_where_they_are_many() -> None:
    state = spaces.Box(-1, 1, (3,))
    few = Encoding(state, spaces.Discrete(MOST_CHOICES, start=5))
    assert few.choices == MOST_CHOICES
    assert few.choice(np.array([5, 6, 5 + MOST_CHOICES - 1])).tolist() == [0, 1, MOST_CHOICES - 1]
    assert few.choice(np.array([[5], [6]])).tolist() == [0, 1]
    many = Encoding(state, spaces.Discrete(1000))
    assert (many.choices, many.action_width) == (None, WIDEST)
    found = many.actions(np.arange(1000))
    assert len(np.unique(found.round(9), axis=0)) == 1000
    several = Encoding(state, spaces.MultiDiscrete([2, 3]))
    assert several.choices is None
    assert several.actions(np.array([[1, 0], [0, 2]])).tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]


def test_what_is_wide_is_squeezed_so_that_distances_are_kept_roughly() -> None:
    space = spaces.Box(0, 255, (20, 20, 3), np.uint8)
    encoding = Encoding(space, TWO)
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (40, 20, 20, 3), np.uint8)
    squeezed, wide = encoding.observations(pictures), pictures.reshape(40, -1) / 255.0
    assert squeezed.shape == (40, WIDEST) == (40, encoding.width)
    one, other = np.triu_indices(40, 1)
    ratio = np.linalg.norm(squeezed[one] - squeezed[other], axis=1) / np.linalg.norm(wide[one] - wide[other], axis=1)
    assert 0.6 < ratio.min() < ratio.mean() < ratio.max() < 1.4
    assert abs(ratio.mean() - 1.0) < 0.05
    # Another process sees the same.
    assert Encoding(space, TWO).observations(pictures).tobytes() == squeezed.tobytes()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Text(10),
        spaces.Tuple([TWO, TWO]),
        spaces.Sequence(TWO),
        spaces.Dict({"mission": spaces.Text(10), "x": TWO}),
        spaces.Dict({"in": spaces.Dict({"x": TWO})}),
    ],
)
def test_what_is_no_number_is_refused_with_what_would_do(space: Any) -> None:
    for observation_space, action_space in ((space, TWO), (TWO, space)):
        with pytest.raises(ValueError, match=r"kind (Text|Tuple|Sequence|Dict) .* expected Box, .* Wrap the env"):
            Encoding(observation_space, action_space)


def test_models_are_of_the_same_kind_where_rows_are_as_wide_and_choices_as_many() -> None:
    four = Encoding(spaces.Box(-1, 1, (4,)), TWO)
    assert same_kind(four, Encoding(spaces.Box(-9, 9, (2, 2)), TWO))
    assert not same_kind(four, Encoding(spaces.Box(-1, 1, (3,)), TWO))
    assert not same_kind(four, Encoding(spaces.Box(-1, 1, (4,)), spaces.Discrete(3)))
    assert not same_kind(four, Encoding(spaces.Box(-1, 1, (4,)), spaces.Box(-1, 1, (2,))))


def test_rows_are_counted_in_dicts_too() -> None:
    assert count_of(np.zeros((3, 2))) == count_of({"a": np.zeros((3, 2)), "b": np.zeros(3)}) == 3


KEPT = [
    spaces.Box(np.array([-np.inf, 0.1], np.float32), np.array([0.3, np.inf], np.float32)),
    spaces.Box(0, 255, (4, 3, 1), np.uint8),
    spaces.Box(-1.0, 1.0, (), np.float64),
    spaces.Discrete(5, start=-3),
    spaces.MultiBinary(4),
    spaces.MultiBinary((2, 3)),
    spaces.MultiDiscrete([[3, 4], [2, 2]], start=[[1, 0], [0, 9]]),
    spaces.Dict({"b": spaces.Box(-1, 1, (2,)), "a": spaces.Discrete(3)}),
    spaces.Dict([("b", spaces.Box(-1, 1, (2,))), ("a", spaces.Discrete(3))]),
    gymnasium.make("CartPole-v1").observation_space,
]


@pytest.mark.parametrize("space", KEPT, ids=str)
def test_a_space_comes_back_as_it_was(space: Any) -> None:
    class Holder:
        def state_dict(self) -> dict[str, Any]:
            return plain_space(space)

    found = space_of(saved(Holder()))
    assert found == space
    assert found.dtype == space.dtype
    if isinstance(space, spaces.Dict):
        # Networks take the parts in this order.
        assert list(found) == list(space)


def test_a_space_that_cannot_be_kept_is_named() -> None:
    with pytest.raises(ValueError, match="kind Text cannot be kept"):
        plain_space(spaces.Text(3))
