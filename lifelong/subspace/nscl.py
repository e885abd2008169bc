"""Adam-NSCL: steps stay in the null space of the second moments of all inputs of all tasks, in constant memory.

Source: Wang, Li, Sun and Xu 2021, "Training Networks in Null Space of Feature Covariance for Continual Learning",
algorithm 1. The uncentred second moments of batch-mean inputs are summed over all tasks; free are the directions whose
eigenvalue is at most `spread` times the smallest one. Promise: the permitted step is orthogonal to all others. The
optimizer's step is projected, as in the paper, so that Adam is safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.subspace.basis import leading
from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Factor, Projection, pack
from lifelong.subspace.method import Site
from lifelong.subspace.moments import AllTasks
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Nscl:
    """Adam-NSCL: the null space of the second moments of all tasks' mean inputs (Wang et al. 2021).

    spread: the paper's `a`, 10 for ten tasks of CIFAR-100, 30 for twenty: more leaves more room and forgets more.
    Only the mean of each batch is kept: give a task in many small batches, such as those of training, and never in one.
    shrinks: divide permitted steps by the root of the number of free directions, as the paper's projector does: a
    hidden factor of the learning rate, for comparisons with its numbers.
    """

    spread: float = 10.0
    shrinks: bool = False
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if self.spread < 1.0:
            raise ValueError(f"spread must be at least 1, the smallest eigenvalue itself, got {self.spread}.")

    def keeper(self, site: Site) -> NsclKeeper:
        return NsclKeeper(self, site)


class NsclKeeper:
    """One sum of second moments, and the directions that it leaves free."""

    def __init__(self, settings: Nscl, site: Site) -> None:
        self._settings, self._site, self.size = settings, site, site.size
        self._sum = AllTasks()
        self._factors = [Factor(torch.zeros(1, site.size, 0)) for _ in range(site.geometry.groups)]
        self._ranks = [0] * site.geometry.groups

    @property
    def rank(self) -> float:
        return sum(self._ranks) / len(self._ranks)

    def see(self, use: Use) -> None:
        self._sum.add(use.mean_rows(self._site.bias is not None))

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        held = []
        for group, seen in enumerate(self._sum.settle()):
            values, vectors = leading(seen)
            # What was never seen has an eigenvalue of zero, give or take the rounding of the largest.
            least = max(float(values[-1]), float(values[0]) * self.size * torch.finfo(torch.float64).eps)
            rank = int((values > self._settings.spread * least).sum())
            self._ranks[group] = rank
            self._factors[group] = self._factor(vectors.float(), rank)
            held.append(float(values[:rank].sum()) / max(seen.total, 1e-300))
        return sum(held) / max(1, len(held))

    def _factor(self, vectors: Tensor, rank: int) -> Factor:
        free = self.size - rank
        if self._settings.shrinks:
            return Factor(vectors[None, :, rank:] * free**-0.25 if free else vectors[None, :, rank:], True, hard=False)
        alone = len(self._ranks) == 1
        if alone and 2 * rank <= self.size:
            return Factor(vectors[None, :, :rank])
        return Factor(vectors[None, :, rank:], complement=True)

    def projection(self) -> Projection:
        return Projection(pack(self._factors))

    def state_dict(self) -> dict[str, Any]:
        factors = [(f.columns, f.complement, f.hard) for f in self._factors]
        return {"sum": self._sum.state_dict(), "factors": factors, "ranks": list(self._ranks)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sum.load_state_dict(state["sum"])
        self._factors = [Factor(*kept) for kept in state["factors"]]
        self._ranks = list(state["ranks"])
