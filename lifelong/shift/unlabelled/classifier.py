"""Can a classifier tell the latest rows from the reference? If it can, on rows that it was not fitted to, they differ.

Shapes: B rows of D numbers, R rows of the reference, W latest rows, K directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.gathering import LEAST_ROWS
from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.reference import Reference
from lifelong.shift.unlabelled.standard import random_directions


class _Fitted(NamedTuple):
    directions_DK: Tensor
    learned_mean_K: Tensor
    learned_scatter_KK: Tensor
    learned_rows: int
    judged_RK: Tensor


@dataclass(slots=True, eq=False)
class ClassifierTwoSample:
    """How well a linear discriminant tells a batch from the reference: finds small changes of position, a little late.

    directions: random ones that rows are projected on first, the features themselves where these are not more.
    window: latest rows that the discriminant is fitted to. every: batches from one fit to the next. ridge: added
    to the pooled covariance, as a share of its mean variance. grace: batches that the reference sample is taken
    from; it is frozen afterwards. rows: of that sample at most. seed: of the directions.

    Fitting and judging never share a row: the discriminant learns one half of the reference against the rows before the
    batch, and ranks the batch against the other half. The value is the standardised area under the ROC curve, about 0
    with deviation 1 in the reference's world. It gathers evidence over the window: it sees small changes of position
    that single batches do not show, but every change a few batches later than `Mmd`. What it cannot see: a change of
    labels alone; one that moves no mean, such as a change of spread or of dependence, because it is linear; anything in
    batches of one row, whose best rank is worth no more than 1.7 deviations.
    Sources: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests (2017), section 3; the discriminant is
    Fisher's.
    """

    directions: int = 64
    window: int = 256
    every: int = 2
    ridge: float = 0.1
    grace: int = 20
    rows: int = 512
    sight: Sight = "inputs"
    seed: int = 0
    _reference: Reference[_Fitted] = field(init=False, repr=False)
    _looked: tuple[Tensor, _Fitted] | None = field(default=None, init=False, repr=False)
    _latest: list[Tensor] = field(default_factory=list, init=False, repr=False)
    _since_fit: int = field(default=0, init=False, repr=False)
    _weights_K: Tensor | None = field(default=None, init=False, repr=False)
    _scores_R: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.directions < 1 or self.window < LEAST_ROWS or self.every < 1 or self.ridge <= 0:
            raise ValueError(
                f"ClassifierTwoSample needs directions >= 1, window >= {LEAST_ROWS}, every >= 1 and ridge > 0, got "
                f"directions={self.directions}, window={self.window}, every={self.every}, ridge={self.ridge}."
            )
        self._reference = Reference(self.grace, self.rows, self._fit, lambda kept: _Fitted(*kept))

    def observe(self, rows: Tensor) -> float | None:
        value = self._reference.observe(rows, self._judge)
        if value is not None and math.isfinite(value):
            self._remember()
        return value

    def _judge(self, rows_BD: Tensor, fitted: _Fitted) -> Tensor:
        rows_BK = rows_BD @ fitted.directions_DK
        self._looked = rows_BK, fitted
        if self._weights_K is None or self._scores_R is None:
            return rows_BK.new_zeros(())
        scores, count, kept = rows_BK @ self._weights_K, len(rows_BK), len(self._scores_R)
        below = torch.searchsorted(self._scores_R, scores) + torch.searchsorted(self._scores_R, scores, right=True)
        area = below.to(scores).mean() / (2 * kept)
        return (area - 0.5) / math.sqrt((count + kept + 1) / (12 * count * kept))

    def _remember(self) -> None:
        """What was judged last, and is fit to be learned from."""
        assert self._looked is not None
        rows_BK, fitted = self._looked
        self._latest.append(rows_BK[-self.window :])
        while sum(map(len, self._latest)) - len(self._latest[0]) >= self.window:
            del self._latest[0]
        self._since_fit += 1
        if self._since_fit >= self.every and sum(map(len, self._latest)) >= LEAST_ROWS:
            self._discriminate(torch.cat(self._latest), fitted)
            self._since_fit = 0

    def _discriminate(self, latest_WK: Tensor, fitted: _Fitted) -> None:
        mean = latest_WK.mean(0)
        apart = latest_WK - mean
        pooled = (fitted.learned_scatter_KK + apart.T @ apart) / (fitted.learned_rows + len(latest_WK))
        pooled.diagonal().add_(self.ridge * pooled.diagonal().mean() + 1e-6)
        self._weights_K = torch.linalg.solve(pooled, mean - fitted.learned_mean_K)
        self._scores_R = (fitted.judged_RK @ self._weights_K).sort().values

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        axes = random_directions(rows_RD.shape[1], self.directions, self.seed).to(rows_RD.device)
        values = rows_RD @ axes
        learned, judged = values[0::2], values[1::2].contiguous()
        mean = learned.mean(0)
        scatter = (learned - mean).T @ (learned - mean)
        return _Fitted(axes, mean, scatter, len(learned), judged)

    def reset(self) -> None:
        self._reference.reset()
        self._looked = self._weights_K = self._scores_R = None
        self._latest, self._since_fit = [], 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "reference": self._reference.state_dict(),
            "latest": list(self._latest),
            "since_fit": self._since_fit,
            "weights": self._weights_K,
            "scores": self._scores_R,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reference.load_state_dict(state["reference"])
        self._latest, self._since_fit = list(state["latest"]), state["since_fit"]
        self._weights_K, self._scores_R = state["weights"], state["scores"]
