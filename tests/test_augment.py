"""Images move a little, as far as they are told to and no further."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lifelong.augment import Affine


def spots(count: int) -> Tensor:
    """A bright square of 4x4 pixels right in the middle of each image of 20x24."""
    images = torch.zeros(count, 2, 20, 24)
    images[:, :, 8:12, 10:14] = 1.0
    return images


def centres(images: Tensor) -> Tensor:
    """(B, 2) centres of mass, x and y, seen from the middle of the image."""
    mass = images.sum(1)
    x = (mass.sum(1) * (torch.arange(24.0) - 11.5)).sum(1) / mass.sum((1, 2))
    y = (mass.sum(2) * (torch.arange(20.0) - 9.5)).sum(1) / mass.sum((1, 2))
    return torch.stack([x, y], dim=1)


def test_with_nothing_to_do_nothing_changes() -> None:
    images = torch.rand(3, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Affine(0, 0, 0, 0)(images), images)


def test_images_move_evenly_up_to_the_bound_along_each_axis() -> None:
    torch.manual_seed(0)
    moved = centres(Affine(degrees=0, shift=3.0, scale=0, shear=0)(spots(2000)))
    assert moved.abs().max() <= 3.0 + 1e-3
    # Uniform up to 3: the mean distance along an axis is 1.5, with a standard error of .02.
    assert (moved.abs().mean(0) - 1.5).abs().max() < 0.1
    assert moved.mean(0).abs().max() < 0.2


def test_scaling_by_a_share_changes_the_area_by_its_square() -> None:
    torch.manual_seed(0)
    areas = Affine(degrees=0, shift=0, scale=0.2, shear=0)(spots(500)).sum((1, 2, 3)) / 32
    assert 0.8**2 - 0.05 < areas.min() < 0.72
    assert 1.35 < areas.max() < 1.2**2 + 0.05


def test_turning_keeps_the_middle_and_the_mass() -> None:
    torch.manual_seed(0)
    images = spots(200)
    turned = Affine(degrees=30, shift=0, scale=0, shear=0)(images)
    assert centres(turned).abs().max() < 1e-3
    assert ((turned.sum((1, 2, 3)) / 32 - 1).abs() < 0.05).all()
    # The corners of the square go where there was none.
    assert turned[:, :, 7].sum() > 1.0


def test_the_draw_is_torchs_own() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(Affine()(spots(4)))
    assert torch.equal(*results)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="shift"):
        Affine(shift=-1)
    with pytest.raises(ValueError, match=r"got \(3, 4\)"):
        Affine()(torch.rand(3, 4))
