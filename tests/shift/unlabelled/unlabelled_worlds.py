"""Measures of every kind, and rows of worlds to show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from lifelong.shift.unlabelled.classifier import ClassifierTwoSample
from lifelong.shift.unlabelled.energy import Energy
from lifelong.shift.unlabelled.entropy import Entropy
from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov
from lifelong.shift.unlabelled.measure import Measure
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.reconstruction import Reconstruction

Make = Callable[[], Measure]

OF_INPUTS: list[Make] = [Mmd, Energy, KolmogorovSmirnov, ClassifierTwoSample, Reconstruction]
ALL: list[Make] = [*OF_INPUTS, Entropy]

MIX = torch.randn(16, 16, generator=torch.Generator().manual_seed(9)) / 4


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, count: int, width: int = 16) -> Tensor:
    """(count, width) rows with some dependence, as of logits or of a table."""
    rows = torch.randn(count, width, generator=draw(seed))
    return rows @ MIX + 0.5 * rows if width == 16 else rows


def batches(seed: int, count: int, size: int = 32, width: int = 16) -> list[Tensor]:
    return list(normal(seed, count * size, width).split(size))


def values(measure: Measure, shown: Iterable[Tensor]) -> list[float | None]:
    return [measure.observe(rows) for rows in shown]


def settled(make: Make, seed: int = 0, size: int = 32, width: int = 16) -> Measure:
    """A measure that has its reference."""
    measure = make()
    for rows in batches(seed, 40, size, width):
        measure.observe(rows)
    return measure


def finite(found: Iterable[float | None]) -> list[float]:
    """All of them numbers."""
    numbers = [value for value in found if value is not None]
    assert all(map(math.isfinite, numbers))
    return numbers
