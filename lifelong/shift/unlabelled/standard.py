"""Rows in units of the reference: every number counts alike, whatever it measures, and an outlier for three deviations.

Shapes: B rows of D numbers, R rows of the reference.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

BOUND = 3.0
"""Deviations that one number of one row counts for at most, so that a rare pixel or an outlier is not all that is seen.

A number that never varied in the reference is at the bound as soon as it differs.
"""

_ROUNDING = 1e-6
_TINY = 1e-30


def flat(rows: Tensor) -> Tensor:
    """(B, ...) of any type -> (B, D) of a floating type, without its history of gradients."""
    rows = rows.detach()
    rows = rows.flatten(1) if rows.ndim > 1 else rows[:, None]
    return rows if rows.dtype in (torch.float32, torch.float64) else rows.float()


def strangeness(value: Tensor, rows_BD: Tensor) -> float:
    """A measure's value as a number, infinite where a row holds anything that is not finite; one transfer."""
    found = float(value + 0.0 * rows_BD.sum())
    return found if math.isfinite(found) else math.inf


class Standard(NamedTuple):
    """Centre and inverse deviation (D,) of each number of a row, in the type of the reference rows."""

    centre: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, rows_RD: Tensor) -> Standard:
        # Once per world, on the CPU and in double precision: the same on every device, and no square overflows.
        exact = rows_RD.cpu().double()
        centre = exact.mean(0)
        deviation = (exact - centre).square().mean(0).sqrt()
        # What varies by rounding alone does not vary.
        deviation = torch.maximum(deviation, _ROUNDING * centre.abs()).clamp(min=_TINY)
        return cls(centre.to(rows_RD), deviation.reciprocal().to(rows_RD))

    def __call__(self, rows_BD: Tensor) -> Tensor:
        """(B, D) -> (B, D) float32 within -BOUND..BOUND."""
        return (rows_BD - self.centre).mul_(self.inverse).clamp_(-BOUND, BOUND).float()


def random_directions(width: int, count: int, seed: int) -> Tensor:
    """(width, count) unit vectors to project standardised rows on: the axes where these are not more than `count`."""
    if width <= count:
        return torch.eye(width)
    drawn = torch.randn(width, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.div(drawn, drawn.square().sum(0).sqrt()).float()
