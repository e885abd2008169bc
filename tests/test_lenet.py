"""LeNet has the size and the bounds that studies of it report."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lifelong.lenet import LeNet
from lifelong.whole import whole


@pytest.mark.parametrize(("padding", "parameters"), [(2, 61_706), (0, 44_426)])
def test_it_has_as_many_parameters_as_it_says(padding: int, parameters: int) -> None:
    module = whole(LeNet(padding=padding), (1, 28, 28), 10, seed=0)
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert module(torch.rand(3, 1, 28, 28)).shape == (3, 10)


def test_a_squashed_output_bounds_the_cross_entropy() -> None:
    module = whole(LeNet(), (1, 28, 28), 10, seed=0)
    with torch.no_grad():
        module[2][0].weight.mul_(1e4)
        outputs = module(torch.rand(50, 1, 28, 28))
        losses = torch.stack([F.cross_entropy(outputs, torch.full((50,), c), reduction="none") for c in range(10)])
    assert math.log(1 + 9 / math.e) - 1e-5 <= losses.min()
    assert losses.max() <= math.log(math.e * 9 + 1) + 1e-5
    plain = whole(LeNet("none"), (1, 28, 28), 10, seed=0)
    assert torch.equal(plain[2].weight * 1e4, module[2][0].weight)


def test_the_seed_decides_the_first_weights_and_nothing_is_drawn_from_outside() -> None:
    before = torch.get_rng_state()
    first, again, other = (whole(LeNet(), (3, 20, 30), 4, seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first[1][0].weight, other[1][0].weight)


def test_inputs_are_standardised_first() -> None:
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    standard, plain = (whole(LeNet(centre=c, spread=s), (1, 28, 28), 10, seed=0) for c, s in ((0.2, 0.5), (0.0, 1.0)))
    torch.testing.assert_close(standard(images), plain((images - 0.2) / 0.5))


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="squash"):
        LeNet("tanh")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="padding"):
        LeNet(padding=-1)
    with pytest.raises(ValueError, match="spread"):
        LeNet(spread=0.0)
    with pytest.raises(ValueError, match="take Mlp"):
        LeNet().encoder((784,))
    with pytest.raises(ValueError, match="at least 12 pixels"):
        LeNet().encoder((1, 11, 20))
    assert whole(LeNet(), (1, 12, 12), 2, seed=0)(torch.rand(1, 1, 12, 12)).shape == (1, 2)
