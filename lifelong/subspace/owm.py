"""Orthogonal weights modification: a ridge instead of a threshold, from the batch-mean inputs of all tasks.

Source: Zeng, Chen, Cui and Yu 2019, "Continual learning of context-dependent processing in neural networks". Its
recursion P -= k x^T P with k = P x / (alpha + x^T P x) has the closed form P = alpha (C + alpha I)^-1 with C = sum of
x x^T, that is I - U diag(l / (l + alpha)) U^T for the eigenvalues l of C: a weighted projection, never a dense matrix.
Promise: the permitted step is the optimizer's times exactly this P.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.subspace.basis import leading
from lifelong.subspace.cost import Form
from lifelong.subspace.factor import WEAKEST, Projection, pack, weighted
from lifelong.subspace.method import Site
from lifelong.subspace.moments import AllTasks
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Owm:
    """Orthogonal weights modification: a ridge instead of a threshold (Zeng et al. 2019).

    alpha: the ridge, in units of the squared mean inputs summed over batches; smaller protects more. Only the mean of
    each batch is kept: give a task in many small batches, such as those of training, and never in one.
    """

    alpha: float = 0.1
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be positive, got {self.alpha}.")

    def keeper(self, site: Site) -> OwmKeeper:
        return OwmKeeper(self, site)


class OwmKeeper:
    """The sum of outer products of all batch means, and its eigenvectors since the last consolidation."""

    def __init__(self, settings: Owm, site: Site) -> None:
        self._settings, self._site, self.size = settings, site, site.size
        self._sum = AllTasks()
        groups = site.geometry.groups
        self._directions = [torch.zeros(site.size, 0) for _ in range(groups)]
        self._weights = [torch.zeros(0) for _ in range(groups)]

    @property
    def rank(self) -> float:
        return sum(float(weights.sum()) for weights in self._weights) / len(self._weights)

    def see(self, use: Use) -> None:
        self._sum.add(use.mean_rows(self._site.bias is not None))

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        held = []
        for group, seen in enumerate(self._sum.settle()):
            values, vectors = leading(seen)
            shut = values / (values + self._settings.alpha)
            kept = shut > WEAKEST
            self._directions[group], self._weights[group] = vectors[:, kept].float(), shut[kept].float()
            held.append(float((values * shut).sum()) / max(seen.total, 1e-300))
        return sum(held) / max(1, len(held))

    def projection(self) -> Projection:
        parts = list(zip(self._directions, self._weights, strict=True))
        return Projection(pack([weighted(d, w, thinner=len(parts) == 1) for d, w in parts]))

    def state_dict(self) -> dict[str, Any]:
        return {"sum": self._sum.state_dict(), "directions": self._directions, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sum.load_state_dict(state["sum"])
        self._directions, self._weights = list(state["directions"]), list(state["weights"])
