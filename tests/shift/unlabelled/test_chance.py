"""What a squared distance of means does by chance, against moments that are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from unlabelled_worlds import draw

from lifelong.shift.unlabelled.chance import Chance


def test_moments_of_the_distance_between_uniform_numbers() -> None:
    # For two uniform numbers: mean distance 1/3; distance variance 2/45; a(x) = x^2 - x + 1/2 has variance 1/180.
    rows = torch.rand(1500, 1, generator=draw(0), dtype=torch.float64)
    found = Chance.of(-torch.cdist(rows, rows), rows=1500)
    assert found.trace == pytest.approx(1 / 3, rel=0.03)
    assert found.squares == pytest.approx(2 / 45, rel=0.06)
    assert found.diagonal == pytest.approx(4 / 180, rel=0.1)


def test_the_estimate_of_squares_is_unbiased_with_few_rows() -> None:
    found = []
    for seed in range(3000):
        rows = torch.rand(6, 1, generator=draw(seed), dtype=torch.float64)
        found.append(Chance.of(-torch.cdist(rows, rows), rows=6).squares)
    error = float(np.std(found)) / len(found) ** 0.5
    assert np.mean(found) == pytest.approx(2 / 45, abs=4 * error)


@pytest.mark.parametrize("count", [1, 2, 16, 100])
def test_standard_values_have_mean_zero_and_deviation_one(count: int) -> None:
    kept = torch.rand(200, 1, generator=draw(1), dtype=torch.float64)
    within = torch.cdist(kept, kept)
    chance, found = Chance.of(-within, rows=200), []
    for seed in range(2000):
        rows = torch.rand(count, 1, generator=draw(seed + 10), dtype=torch.float64)
        distance = 2 * torch.cdist(rows, kept).mean() - torch.cdist(rows, rows).mean() - within.mean()
        found.append(float(chance.standardise(distance, count)))
    # The more rows, the more it is the reference that lies off the truth, by an amount that is fixed.
    assert np.mean(found) == pytest.approx(0.0, abs=0.15 if count < 100 else 0.5)
    assert np.std(found) == pytest.approx(1.0, abs=0.15 if count < 100 else 0.25)


def test_a_kernel_that_never_varies_makes_no_division_by_zero() -> None:
    chance = Chance.of(torch.ones(20, 20), rows=20)
    assert (chance.trace, chance.squares, chance.diagonal) == (0.0, 0.0, 0.0)
    assert float(chance.standardise(torch.tensor(0.0), 5)) == 0.0
