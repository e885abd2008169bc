"""How far the mean of a batch lies from the mean of the reference by chance, in the space of a kernel.

The squared distance of means (the MMD; with the negative distance as the kernel, the energy distance) is never zero:
in the world of the reference it is trace/n on average for a batch of n rows, and varies with the size too. Taking
off the one and dividing by the other makes values about 0 and of deviation 1, whatever the size of the batch.

Sources: the distance is that of Gretton et al., A Kernel Two-Sample Test (JMLR 2012), whose distribution under the null
has these moments for a reference that stays; the unbiased estimate of the squared kernel's mean is the U-centring of
Szekely and Rizzo, Partial Distance Correlation (Annals of Statistics 2014).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

_LEAST = 1e-6


class Chance(NamedTuple):
    """Moments of the centred kernel under the reference.

    rows: of the reference's mean. trace: mean of k(x, x). squares: mean of k(x, y)^2. diagonal: variance of k(x, x).
    """

    rows: int
    trace: float
    squares: float
    diagonal: float

    @classmethod
    def of(cls, kernel_RR: Tensor, rows: int) -> Chance:
        """From the kernel between at least four reference rows, symmetric, with one value all along its diagonal.

        `rows` is how many rows the reference's mean is made of, which may be more.
        """
        count = len(kernel_RR)
        kernel = kernel_RR.double()
        own = float(kernel[0, 0])
        kernel = kernel - kernel.diagonal().diag()
        sums = kernel.sum(1)
        total = float(sums.sum())
        centred = kernel - (sums[:, None] + sums) / (count - 2) + total / ((count - 1) * (count - 2))
        centred = centred - centred.diagonal().diag()
        return cls(
            rows,
            max(own - total / (count * (count - 1)), 0.0),
            float(centred.square().sum()) / (count * (count - 3)),
            4.0 * float((sums / (count - 1)).var()),
        )

    def standardise(self, distance: Tensor, count: int) -> Tensor:
        """The squared distance of a batch of `count` rows from the reference -> about 0, deviation 1 by chance."""
        mean = self.trace * (1.0 / count + 1.0 / self.rows)
        pairs = 2.0 * self.squares * ((count - 1) / count**3 + 2.0 / (count * self.rows))
        return (distance - mean) / max(math.sqrt(pairs + self.diagonal / count**3), _LEAST)
