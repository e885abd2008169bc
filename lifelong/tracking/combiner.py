"""The contract of a combiner: many opinions on the next label, one answer, and the lesson of what it really was."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@runtime_checkable
class Combiner(Protocol):
    """Weighs K experts by how well each has served. Opinions are (K, C) chances: positive, rows summing to 1."""

    @property
    def weights(self) -> Vector:
        """(K,) what each expert counts now."""
        ...

    def begin(self, experts: int) -> None:
        """Start over with so many experts, all worth the same."""
        ...

    def answer(self, opinions: Vector) -> Vector:
        """(..., K, C) -> (..., C) probabilities."""
        ...

    def learn(self, opinions: Vector, label: int) -> None:
        """The label that the (K, C) opinions were about."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
