"""Kolmogorov-Smirnov tests of each batch against the reference, one for each of several directions.

Shapes: B rows of D numbers, R rows of the reference, K directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.reference import Reference
from lifelong.shift.unlabelled.standard import random_directions

BOUND = 20.0
"""The largest value: p = 1e-20, far beyond what asymptotics are good for."""


class _Fitted(NamedTuple):
    directions_DK: Tensor
    sorted_KR: Tensor


@dataclass(slots=True, eq=False)
class KolmogorovSmirnov:
    """The most unlikely of many one-dimensional tests, as -log10 of its corrected p-value: of every shape of change.

    directions: random ones that rows are projected on; the features themselves where these are not more. grace: batches
    that the reference sample is taken from; it is frozen afterwards. rows: of that sample at most. seed: of the
    directions.

    Values are 0 to 20, about 0.4 by chance, for batches of any size; ties make them smaller, and a handful of rows is
    never unlikely enough to count. What it cannot see: a change of labels alone; one of how features depend on each
    other (with few features, each tested alone); one that is thin in every random direction (with many). With sight
    "outputs" it is the test on a model's answers that Rabanser et al., Failing Loudly (2019), found best.
    Sources: the p-value is Kolmogorov's series with the small-sample term of Stephens 1970; correction: Sidak 1967.
    """

    directions: int = 32
    grace: int = 20
    rows: int = 512
    sight: Sight = "inputs"
    seed: int = 0
    _reference: Reference[_Fitted] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise ValueError(f"KolmogorovSmirnov needs directions >= 1, got directions={self.directions}.")
        self._reference = Reference(self.grace, self.rows, self._fit, lambda kept: _Fitted(*kept))

    def observe(self, rows: Tensor) -> float | None:
        return self._reference.observe(rows, self._judge)

    def _judge(self, rows_BD: Tensor, fitted: _Fitted) -> Tensor:
        values = (rows_BD @ fitted.directions_DK).T.contiguous().sort(1).values
        largest = float(_largest_gap(values, fitted.sorted_KR))
        sizes = values.shape[1], fitted.sorted_KR.shape[1]
        return torch.tensor(min(corrected(log_p(largest, *sizes), len(values)), BOUND))

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        axes = random_directions(rows_RD.shape[1], self.directions, self.seed).to(rows_RD.device)
        return _Fitted(axes, (rows_RD @ axes).T.contiguous().sort(1).values)

    def reset(self) -> None:
        self._reference.reset()

    def state_dict(self) -> dict[str, Any]:
        return self._reference.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reference.load_state_dict(state)


def _largest_gap(values_KB: Tensor, reference_KR: Tensor) -> Tensor:
    """The largest distance of two empirical distributions in any direction; both samples are sorted.

    It is reached at a value of the batch, on its left or on its right: ties are counted rightly by both.
    """
    count, kept = values_KB.shape[1], reference_KR.shape[1]
    steps = torch.arange(count + 1, device=values_KB.device, dtype=values_KB.dtype) / count
    above = steps[1:] - torch.searchsorted(reference_KR, values_KB, right=True) / kept
    below = torch.searchsorted(reference_KR, values_KB) / kept - steps[:-1]
    return torch.maximum(above, below).amax()


def log_p(gap: float, count: int, kept: int) -> float:
    """Natural logarithm of the probability of such a gap, or a larger one, between two samples of one distribution."""
    size = math.sqrt(count * kept / (count + kept))
    scaled = (size + 0.12 + 0.11 / size) * gap
    if scaled < 0.3:
        # The series below is 1 up to the sixth digit, and converges slowly.
        return 0.0
    # 2 sum of (-1)^(k-1) exp(-2 k^2 scaled^2), with its first term taken out: this does not underflow.
    first = -2.0 * scaled * scaled
    rest = sum((-1) ** (k - 1) * math.exp(first * (k * k - 1)) for k in range(1, 20))
    return min(math.log(2.0) + first + math.log(rest), 0.0)


def corrected(log_probability: float, tests: int) -> float:
    """-log10 of the probability that the least of so many independent p-values is as small."""
    p = math.exp(log_probability)
    if p >= 1.0:
        return 0.0
    # Where p is lost in rounding, Sidak's and Bonferroni's corrections are the same.
    log_corrected = math.log(-math.expm1(tests * math.log1p(-p))) if p > 1e-12 else log_probability + math.log(tests)
    return -min(log_corrected, 0.0) / math.log(10.0)
