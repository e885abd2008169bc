"""Spearman's rank correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's correlation of the ranks, -1 to 1; equal values share the mean of their ranks (Spearman 1904).

    None with fewer than three pairs, or where one side is all equal. Raises ValueError where lengths differ.
    """
    if len(x) != len(y):
        raise ValueError(f"Ranks are compared pair by pair, got {len(x)} values and {len(y)}.")
    a, b = ranks(x), ranks(y)
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """(N,) ranks from 1 on; equal values share the mean of their ranks."""
    _, places, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    shared: NDArray[np.float64] = (ends - (counts - 1) / 2)[places]
    return shared
