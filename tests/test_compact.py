"""Compact is as small as it says, for images of any size."""

from __future__ import annotations

import pytest
import torch

from lifelong.compact import Compact
from lifelong.pruning import footprint
from lifelong.whole import whole


def test_it_has_as_many_parameters_as_it_says() -> None:
    module = whole(Compact(), (1, 28, 28), 10, seed=0)
    # Convolutions without biases, two numbers of each norm, and the head; then two statistics of each norm.
    weights = 25 * 16 + 9 * 16 * 32 + 9 * 32 * 48 + 2 * (16 + 32 + 48) + 9 * 48 * 10 + 10
    assert sum(p.numel() for p in module.parameters()) == weights == 23_354
    assert footprint(module).parameters == weights + 2 * (16 + 32 + 48)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 40), (1, 8, 8)])
@pytest.mark.parametrize("shrink", ["pool", "stride"])
def test_images_of_any_size_meet_in_one_head(shape: tuple[int, int, int], shrink: str) -> None:
    recipe = Compact((4, 6, 8), shrink, "none", side=2)  # type: ignore[arg-type]
    module = whole(recipe, shape, 5, seed=0).eval()
    assert module(torch.rand(2, *shape)).shape == (2, 5)
    sides = [tuple(layer(torch.rand(1, *shape)).shape) for layer in (module[0], module[:2])]
    assert sides == [(1, 4, (shape[1] + 1) // 2, (shape[2] + 1) // 2), (1, 8 * 4)]


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="two numbers"):
        Compact((8,))
    with pytest.raises(ValueError, match="side=0"):
        Compact(side=0)
    with pytest.raises(ValueError, match="shrink"):
        Compact(shrink="crop")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="take Mlp"):
        Compact().encoder((784,))
