"""What a subspace method is: for each weight, a keeper that watches, consolidates, and says which steps are permitted.

Every method of this folder is one file of this shape. Which weights exist, what is frozen, and how a step is held to
a projection is the business of `Protection` and `lifelong.updates`; a method knows one weight at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Projection
from lifelong.subspace.use import Geometry, Use


@dataclass(frozen=True, slots=True)
class Site:
    """A weight that maps data linearly, and the bias that is protected with it as a weight on a constant input.

    first: whether it was the first to see the data of a forward pass, so that its inputs are raw and never drift.
    """

    weight: str
    bias: str | None
    geometry: Geometry
    first: bool = False

    @property
    def size(self) -> int:
        """Directions of the input, with the constant one of a bias."""
        return self.geometry.inputs + (self.bias is not None)

    def joint(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Tensors of the shapes of weight and bias as one (G, O, size); zeros for the column of a bias of None."""
        matrix = self.geometry.matrix(weight)
        if self.bias is None:
            return matrix
        column = matrix.new_zeros(*matrix.shape[:2], 1) if bias is None else bias.reshape(*matrix.shape[:2], 1)
        return torch.cat([matrix, column], dim=2)


class Keeper(Protocol):
    """What a method keeps of one weight."""

    @property
    def rank(self) -> float:
        """Directions that are protected (in the mean over groups; weighted ones count by their weight)."""
        ...

    @property
    def size(self) -> int:
        """Directions that there are."""
        ...

    def see(self, use: Use) -> None:
        """Inputs that the weight multiplied."""
        ...

    def feel(self, gradient: Tensor) -> None:
        """(G, O, D) gradient of one step, for methods whose `feels` says that they want it."""
        ...

    def consolidate(self, weight: Tensor) -> float:
        """Protect what was seen since the last time; weight: (G, O, D). Returns the share of it that is held (0..1)."""
        ...

    def projection(self) -> Projection:
        """What a step of this weight may do now."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class LooksAhead(Protocol):
    """A keeper that chooses, from the first data of a task, where its weight shall learn it."""

    def begin(self) -> None:
        """Take what was seen for the task that begins."""
        ...


class Method(Protocol):
    """Frozen settings from which keepers are made.

    feels: whether keepers want every step's gradient. looks_ahead: whether they are `LooksAhead`. form: how steps are
    held where the caller has no wish (None: by cost).
    """

    @property
    def feels(self) -> bool: ...

    @property
    def looks_ahead(self) -> bool: ...

    @property
    def form(self) -> Form | None: ...

    def keeper(self, site: Site) -> Keeper: ...
