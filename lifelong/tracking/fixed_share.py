"""Tracking the best expert: a mixture whose weights can come back. K experts, C classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class FixedShare:
    """Bayes' mixture under a prior by which the best expert changes with chance `share` at every row.

    After each row w_k <- w_k p_k(label), normalised, and then w_k <- (1 - share) w_k + share / K. For any choice of
    experts that changes S times in T rows, the log loss of the mixture is above that of the choice by at most
    (S + 1) ln K + S ln(1 / share) + (T - S - 1) ln(1 / (1 - share)). Source: Herbster & Warmuth 1998, with the log
    loss, and the share going to all experts alike.
    """

    def __init__(self, share: float = 0.01) -> None:
        if not 0.0 <= share < 1.0:
            raise ValueError(f"share must be in [0, 1), got {share}.")
        self._share = share
        self._weights: Vector = np.zeros(0)

    @property
    def weights(self) -> Vector:
        return self._weights

    def begin(self, experts: int) -> None:
        self._weights = np.full(experts, 1.0 / experts)

    def answer(self, opinions: Vector) -> Vector:
        mixed: Vector = self._weights @ opinions
        return mixed

    def learn(self, opinions: Vector, label: int) -> None:
        weights = self._weights * opinions[:, label]
        self._weights = (1.0 - self._share) / weights.sum() * weights + self._share / len(weights)

    def state_dict(self) -> dict[str, Any]:
        return {"weights": torch.from_numpy(self._weights.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weights = state["weights"].numpy().copy()
