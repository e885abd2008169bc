"""What can be said of a few seeds: means, how sure they are, and differences seed by seed.

Intervals are bootstrap percentiles (Efron & Tibshirani 1993, ch. 13), taken further out for few seeds, of which plain
ones are far too narrow (Hesterberg 2015, "What teachers should know about the bootstrap", expanded percentiles): where
means are normal they are as wide as Student's. They cannot reach beyond the least and largest seed, so that of few
seeds they hold the truth too seldom (of 5 from a normal distribution in 92 % of cases): below 8 a mean has Student's
own. No interval leaves the range that its measure has. S seeds, L looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 20_000
INSIDE = 0.95
ENOUGH = 8
"""Seeds from which on resampling them gives intervals that hold the truth about as often as they promise."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over `n` seeds, and the interval it lies in; None where one seed alone says nothing of that."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def sign(self) -> int:
        """+1 or -1 where the whole interval lies on that side of zero, else 0."""
        if self.low is None or self.high is None or (self.n < ENOUGH and self.high - self.low < 1e-9):
            # A few seeds that happen to agree, but for rounding, settle nothing.
            return 0
        return (self.low > 0) - (self.high < 0)


def estimate(values: Sequence[float | None], bounds: tuple[float, float] = (-np.inf, np.inf)) -> Estimate | None:
    """The mean of the numbers that are known; None where there is none. bounds: what such a number can be."""
    known = np.array([value for value in values if value is not None and np.isfinite(value)], dtype=np.float64)
    if not len(known):
        return None
    mean = float(known.mean())
    if len(known) == 1:
        return Estimate(mean, None, None, 1)
    if np.ptp(known) and len(known) < ENOUGH:
        half = _student(len(known)) * float(known.std(ddof=1))
        low, high = mean - half, mean + half
    else:
        lows, highs = interval(known[:, None])
        low, high = float(lows[0]), float(highs[0])
    # Rounding may put a mean itself a hair outside.
    return Estimate(mean, min(max(low, bounds[0]), mean), max(min(high, bounds[1]), mean), len(known))


def paired(
    values: Mapping[int, float | None],
    base: Mapping[int, float | None],
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate | None:
    """The mean difference to a baseline over the seeds that both have; seeds are resampled as pairs."""
    common = [seed for seed in values if seed in base]
    pairs = [(values[seed], base[seed]) for seed in common]
    return estimate([None if one is None or other is None else one - other for one, other in pairs], bounds)


def interval(values_SL: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 95 % interval (L,), (L,) of the mean over seeds in each column; the same resamples for all columns."""
    if len(values_SL) == 1:
        return values_SL[0], values_SL[0]
    means = _shares(len(values_SL)) @ values_SL
    outside = tail(len(values_SL))
    low, high = np.quantile(means, [outside, 1.0 - outside], axis=0)
    # A mean of equal numbers differs from them by rounding alone.
    same = np.ptp(values_SL, axis=0) == 0
    return np.where(same, values_SL[0], low), np.where(same, values_SL[0], high)


def kind_of(seeds: int) -> str:
    """Which intervals means of so many seeds have, in words."""
    few = f"Student's: resampling fewer than {ENOUGH} seeds tells too little"
    return "bootstrap over seeds" if seeds >= ENOUGH else few


@cache
def _student(n: int) -> float:
    """Half the width of Student's interval of the mean of n numbers, in standard deviations."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + INSIDE) / 2) / np.sqrt(n))


@cache
def tail(n: int) -> float:
    """The share of resamples left outside on each side, of n >= 2 seeds: 2.5 % of many, less of few."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(-((n / (n - 1)) ** 0.5) * stdtrit(n - 1, (1 + INSIDE) / 2)))


@cache
def _shares(n: int) -> NDArray[np.float64]:
    """(RESAMPLES, n): the share that each of n seeds has in each resample; always the same ones."""
    picks = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    counts = np.stack([(picks == k).sum(axis=1) for k in range(n)], axis=1)
    return np.asarray(counts, dtype=np.float64) / n
