"""Ridge regression that is exact after every single row, and forgets: recursive least squares.

D features, C outputs. All in float64, in which the recursion is stable for as long as a stream may last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Vector = NDArray[np.float64]

LEAST = 1e-6
"""Of a ridge: its inverse is what the recursion begins with, and a much larger one takes all digits from the rows."""

SYMMETRY_EVERY = 64
"""Rows after which rounding is taken out: an antisymmetric error grows by 1 / forgetting at every row."""


class RecursiveRidge:
    """The weights that minimise the sum of squared errors, each row weighing `forgetting` times the next, plus a ridge.

    With precision R and moments M, both of which fade by `forgetting` (0 < f <= 1) before a row (x, y) is added,

        R <- f R + x x' + r e_i e_i',   M <- f M + x y',   weights (D, C) = R^-1 M,   R_0 = ridge I,

    where r = (1 - f) D ridge is given back to one coordinate i a row, in turn, because a ridge that fades with the rows
    leaves directions that no row excites without bound ("wind-up"). A row costs O(D²); `forgetting=1` is plain ridge.
    Sources: Haykin, Adaptive Filter Theory, ch. 10; Gay 1996 for restoring the ridge one coordinate at a time.
    """

    def __init__(self, features: int, outputs: int, forgetting: float = 1.0, ridge: float = 3.0) -> None:
        if features < 1 or outputs < 1:
            raise ValueError(f"RecursiveRidge needs 1 or more features and outputs, got {features} and {outputs}.")
        if not 0.0 < forgetting <= 1.0 or not LEAST <= ridge <= 1.0 / LEAST:
            raise ValueError(
                f"RecursiveRidge needs 0 < forgetting <= 1 and a ridge from {LEAST:g} to {1.0 / LEAST:g}, got "
                f"forgetting={forgetting}, ridge={ridge}."
            )
        self.forgetting, self.ridge = forgetting, ridge
        self.weights: Vector = np.zeros((features, outputs))
        self.rows = 0
        self._hold(torch.eye(features, dtype=torch.float64) / ridge)

    def answer(self, x: Vector) -> Vector:
        """(..., D) features -> (..., C) outputs."""
        outputs: Vector = x @ self.weights
        return outputs

    def learn(self, x: Vector, y: Vector) -> None:
        """Take in one row: features (D,), wanted outputs (C,)."""
        inverse, forgetting = self._inverse, self.forgetting
        k = inverse @ x
        scale = forgetting + float(x @ k)
        self.weights += np.multiply.outer(k / scale, y - x @ self.weights)
        if forgetting == 1.0:
            column = torch.from_numpy(k)
            self._tensor.addr_(column, column, alpha=-1.0 / scale)
        else:
            i = self.rows % len(x)
            restored = (inverse[i] - k * (k[i] / scale)) / forgetting
            rest = 1.0 / ((1.0 - forgetting) * len(x) * self.ridge) + restored[i]
            self.weights -= np.multiply.outer(restored / rest, self.weights[i].copy())
            # Both updates of the inverse in one pass over it, which is what a row costs.
            pair = torch.from_numpy(np.stack([k / math.sqrt(scale * forgetting), restored / math.sqrt(rest)]))
            self._tensor.addmm_(pair.T, pair, beta=1.0 / forgetting, alpha=-1.0)
        self.rows += 1
        if self.rows % SYMMETRY_EVERY == 0:
            self._hold((self._tensor + self._tensor.T) / 2.0)

    def _hold(self, inverse: torch.Tensor) -> None:
        """Two names of one memory: torch updates it in place without a copy, numpy reads it with less overhead."""
        self._tensor = inverse.contiguous()
        self._inverse: Vector = self._tensor.numpy()

    def state_dict(self) -> dict[str, Any]:
        return {"inverse": self._tensor.clone(), "weights": torch.from_numpy(self.weights.copy()), "rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._hold(state["inverse"].clone())
        self.weights, self.rows = state["weights"].numpy().copy(), state["rows"]
