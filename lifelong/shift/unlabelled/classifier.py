"""Can a classifier tell the latest rows from the reference? If it can, on rows that it was not fitted to, they differ.

Shapes: B rows of D numbers, R rows of the reference, W latest rows, K directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.gathering import LEAST_ROWS, Gathering
from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.standard import Standard, flat, random_directions, strangeness


class _Fitted(NamedTuple):
    centre: Tensor
    inverse: Tensor
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
    _gathering: Gathering = field(init=False, repr=False)
    _fitted: _Fitted | None = field(default=None, init=False, repr=False)
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
        self._gathering = Gathering(self.grace, self.rows)

    def observe(self, rows: Tensor) -> float | None:
        rows = flat(rows)
        if self._fitted is None:
            gathered = self._gathering.take(rows)
            self._fitted = None if gathered is None else self._fit(gathered)
            return None
        fitted = self._fitted
        if rows.shape[1] != len(fitted.centre):
            return math.inf
        projected = Standard(fitted.centre, fitted.inverse)(rows) @ fitted.directions_DK
        value = strangeness(self._judge(projected), rows)
        if math.isfinite(value):
            self._remember(projected)
        return value

    def _judge(self, rows_BK: Tensor) -> Tensor:
        if self._weights_K is None or self._scores_R is None:
            return rows_BK.new_zeros(())
        scores, count, kept = rows_BK @ self._weights_K, len(rows_BK), len(self._scores_R)
        below = torch.searchsorted(self._scores_R, scores) + torch.searchsorted(self._scores_R, scores, right=True)
        area = below.to(scores).mean() / (2 * kept)
        return (area - 0.5) / math.sqrt((count + kept + 1) / (12 * count * kept))

    def _remember(self, rows_BK: Tensor) -> None:
        self._latest.append(rows_BK[-self.window :])
        while sum(map(len, self._latest)) - len(self._latest[0]) >= self.window:
            del self._latest[0]
        self._since_fit += 1
        if self._since_fit >= self.every and sum(map(len, self._latest)) >= LEAST_ROWS:
            self._discriminate(torch.cat(self._latest))
            self._since_fit = 0

    def _discriminate(self, latest_WK: Tensor) -> None:
        assert self._fitted is not None
        fitted, mean = self._fitted, latest_WK.mean(0)
        apart = latest_WK - mean
        pooled = (fitted.learned_scatter_KK + apart.T @ apart) / (fitted.learned_rows + len(latest_WK))
        pooled.diagonal().add_(self.ridge * pooled.diagonal().mean() + 1e-6)
        self._weights_K = torch.linalg.solve(pooled, mean - fitted.learned_mean_K)
        self._scores_R = (fitted.judged_RK @ self._weights_K).sort().values

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        standard = Standard.of(rows_RD)
        axes = random_directions(rows_RD.shape[1], self.directions, self.seed).to(rows_RD.device)
        values = standard(rows_RD) @ axes
        learned, judged = values[0::2], values[1::2].contiguous()
        mean = learned.mean(0)
        scatter = (learned - mean).T @ (learned - mean)
        return _Fitted(*standard, axes, mean, scatter, len(learned), judged)

    def reset(self) -> None:
        self._gathering.reset()
        self._fitted = self._weights_K = self._scores_R = None
        self._latest, self._since_fit = [], 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "gathering": self._gathering.state_dict(),
            "fitted": None if self._fitted is None else tuple(self._fitted),
            "latest": list(self._latest),
            "since_fit": self._since_fit,
            "weights": self._weights_K,
            "scores": self._scores_R,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._gathering.load_state_dict(state["gathering"])
        self._fitted = None if state["fitted"] is None else _Fitted(*state["fitted"])
        self._latest, self._since_fit = list(state["latest"]), state["since_fit"]
        self._weights_K, self._scores_R = state["weights"], state["scores"]
