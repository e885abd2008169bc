"""Rotation against torch's exact quarter turns and against interpolation by hand."""

from __future__ import annotations

from math import cos, floor, radians, sin

import pytest
import torch

from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.rotated import Rotation, rotated
from lifelong_envs.supervised.timetable import Timetable


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("side", [5, 8])
def test_quarter_turns_are_exact(quarters: int, side: int) -> None:
    images = torch.rand(3, 2, side, side, generator=torch.Generator().manual_seed(0))
    turned = Rotation(90.0 * quarters)(images)
    torch.testing.assert_close(turned, torch.rot90(images, quarters, (2, 3)), atol=1e-4, rtol=0)


def test_half_a_turn_of_a_long_image_is_exact() -> None:
    images = torch.rand(1, 1, 3, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Rotation(180.0)(images), images.flip(2, 3), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (4, 9)])
def test_any_angle_equals_interpolation_by_hand(height: int, width: int) -> None:
    image = torch.rand(height, width, generator=torch.Generator().manual_seed(1))
    degrees = 27.0
    expected = torch.zeros(height, width)
    for row in range(height):
        for column in range(width):
            x, up = column - (width - 1) / 2, (height - 1) / 2 - row
            # Where the value came from: the place turned back, clockwise.
            c, s = cos(radians(degrees)), sin(radians(degrees))
            from_x, from_up = c * x + s * up, -s * x + c * up
            at_column, at_row = from_x + (width - 1) / 2, (height - 1) / 2 - from_up
            for r in (floor(at_row), floor(at_row) + 1):
                for k in (floor(at_column), floor(at_column) + 1):
                    if 0 <= r < height and 0 <= k < width:
                        weight = (1 - abs(at_row - r)) * (1 - abs(at_column - k))
                        expected[row, column] += weight * image[r, k]
    turned = Rotation(degrees)(image[None, None])[0, 0]
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)


def test_training_and_test_images_turn_by_the_angle_of_their_task(images: Arrays) -> None:
    stream = rotated(images, Timetable(order="A C B C", batch_size=10, samples=20), angles=[0, 90, 180])
    turn = {"A": 0, "B": 1, "C": 2}
    train, test = torch.as_tensor(images.train_inputs), torch.as_tensor(images.test_inputs)
    for task in stream.tasks:
        torch.testing.assert_close(task.test_inputs, torch.rot90(test, turn[task.name], (2, 3)), atol=1e-4, rtol=0)
    served = 0
    for batch, truth in stream.experiences():
        back = torch.rot90(batch.inputs, -turn[truth.task], (2, 3))
        distances = (back.flatten(1)[:, None] - train.flatten(1)).abs().amax(-1)
        assert float(distances.min(1).values.max()) < 1e-4
        assert torch.equal(distances.argmin(1) % 4, batch.targets)
        served += len(back)
    assert served == 4 * 20


def test_angles_are_spread_evenly_over_the_span(images: Arrays) -> None:
    quarters = rotated(images, tasks=4, span=360.0)
    test = torch.as_tensor(images.test_inputs)
    for n, task in enumerate(quarters.tasks):
        torch.testing.assert_close(task.test_inputs, torch.rot90(test, n, (2, 3)), atol=1e-4, rtol=0)


def test_samples_that_are_no_images_are_refused() -> None:
    flat = Arrays(torch.rand(4, 9), torch.arange(4), torch.rand(4, 9), torch.arange(4), name="flat")
    with pytest.raises(ValueError, match=r"needs images of shape .*'flat' have shape \(9,\)"):
        rotated(flat)


def test_angles_and_tasks_must_agree(images: Arrays) -> None:
    with pytest.raises(ValueError, match="2 angles for tasks=3"):
        rotated(images, angles=[0.0, 10.0], tasks=3)
    with pytest.raises(ValueError, match="at least one task and at most 10,000, got tasks=0"):
        rotated(images, angles=[])
