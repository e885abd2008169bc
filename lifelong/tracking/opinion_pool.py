"""Opinions multiplied instead of averaged: an expert on the past and one on the present know more together than either.

K experts, C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class OpinionPool:
    """Logarithmic opinion pool, p(c) ~ prod_k p_k(c)^w_k, whose weights follow the gradient of the log loss.

    That loss is convex in the weights (it is logistic regression on log opinions), so steps of size `rate` have the
    regret of online gradient descent against the best fixed weights (Zinkevich 2003). Weights start at 1 / K each
    and may become negative, where an expert repeats what others overstate. Source: Genest &
    Zidek 1986 for the pool.
    """

    def __init__(self, rate: float = 0.01) -> None:
        if not rate > 0.0:
            raise ValueError(f"rate must be positive, got {rate}.")
        self._rate = rate
        self._weights: Vector = np.zeros(0)

    @property
    def weights(self) -> Vector:
        return self._weights

    def begin(self, experts: int) -> None:
        self._weights = np.full(experts, 1.0 / experts)

    def answer(self, opinions: Vector) -> Vector:
        return self._answer(np.log(opinions))

    def _answer(self, logs: Vector) -> Vector:
        scores = self._weights @ logs
        chances: Vector = np.exp(scores - scores.max(-1, keepdims=True))
        chances /= chances.sum(-1, keepdims=True)
        return chances

    def learn(self, opinions: Vector, label: int) -> None:
        logs = np.log(opinions)
        self._weights -= self._rate * (logs @ self._answer(logs) - logs[:, label])

    def state_dict(self) -> dict[str, Any]:
        return {"weights": torch.from_numpy(self._weights.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weights = state["weights"].numpy().copy()
