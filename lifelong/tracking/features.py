"""A fixed layer that makes a linear learner a non-linear one. D inputs, S of them steep, H random units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

STEEPNESS = 4.0
"""How sharply a column is split at its mean: 1 / 4 of its deviation away it is three quarters decided."""


class Features:
    """(..., D) -> (..., 1 + D + S + H): a one, the inputs, a steep step in each of the first S, H random directions.

    Steps tanh(4 x_i) say on which side of its mean one column is, as a tree's split would. Directions tanh(w'x + b) are
    drawn once from `seed`, w with variance 1 / D and b with deviation 1/2, so that standardised inputs reach the bend
    of tanh and not its ends. Source for the latter: Igelnik & Pao 1995, random vector functional-link networks.
    """

    def __init__(self, inputs: int, steep: int, hidden: int, seed: int) -> None:
        if inputs < 1 or not 0 <= steep <= inputs or hidden < 0:
            raise ValueError(
                f"Features needs inputs >= 1, 0 <= steep <= inputs and hidden >= 0, got inputs={inputs}, "
                f"steep={steep}, hidden={hidden}."
            )
        draw = np.random.default_rng([seed, inputs, hidden])
        self._steep = steep
        self._directions: Vector = draw.standard_normal((inputs, hidden)) / np.sqrt(inputs)
        self._offsets: Vector = 0.5 * draw.standard_normal(hidden)
        self.count = 1 + inputs + steep + hidden

    def of(self, inputs: Vector) -> Vector:
        """The features of inputs of any leading shape."""
        bent = np.concatenate([STEEPNESS * inputs[..., : self._steep], inputs @ self._directions + self._offsets], -1)
        made: Vector = np.concatenate([np.ones((*inputs.shape[:-1], 1)), inputs, np.tanh(bent, out=bent)], -1)
        return made
