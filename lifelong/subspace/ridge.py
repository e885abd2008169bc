"""A ridge instead of a threshold, in units of each task's own inputs: weak directions keep some room, strong ones none.

Ours: the ridge of OWM (Zeng et al. 2019) with the second moments of GPM. Let C be the sum over tasks of the second
moments of a layer's inputs, each scaled to a mean eigenvalue of one. A step is permitted times P = r (C + r I)^-1, the
answer to "change as asked, at a price of 1 / r for what changes in old outputs". OWM looks at means of batches and has
its ridge in their absolute units, so that its protection depends on batch size, number of batches and the scale of the
data. Promise: the permitted step is the optimizer's times exactly this P; so what a movement M that was asked for does
to old outputs is at most (r / 4) |M|^2 in the mean square, in the units of C: l r^2 / (l + r)^2 <= r / 4 for every
eigenvalue l.
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
from lifelong.subspace.gpm import check_samples
from lifelong.subspace.method import Site
from lifelong.subspace.moments import Moments, of_samples
from lifelong.subspace.sampling import Sample
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Ridge:
    """A ridge on the second moments of all tasks' inputs: no direction is quite free, none quite shut.

    ridge: in units of one task's mean squared input per direction; smaller protects more. samples: rows kept per layer
    until the consolidation; None: second moments of all that passes, in flight (see `Gpm`).
    """

    ridge: float = 0.1
    samples: int | None = None
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if not 0.0 < self.ridge < math.inf:
            raise ValueError(f"ridge must be positive, got {self.ridge}.")
        check_samples(self.samples)

    def keeper(self, site: Site) -> RidgeKeeper:
        return RidgeKeeper(self, site)


class RidgeKeeper:
    """The eigenvectors of each group's summed second moments, and how much each of them is shut."""

    def __init__(self, settings: Ridge, site: Site) -> None:
        self._settings, self._site, self.size = settings, site, site.size
        groups = site.geometry.groups
        self._directions = [torch.zeros(site.size, 0) for _ in range(groups)]
        self._values = [torch.zeros(0) for _ in range(groups)]
        self._sample = self._fresh()

    def _fresh(self) -> Sample:
        return Sample(self._settings.samples, self._site.bias is not None)

    @property
    def rank(self) -> float:
        return sum(float(self._shut(values).sum()) for values in self._values) / len(self._values)

    def _shut(self, values: Tensor) -> Tensor:
        return values / (values + self._settings.ridge)

    def see(self, use: Use) -> None:
        self._sample.add(use)

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        if self._sample.is_empty:
            return 1.0
        held = []
        for group, seen in enumerate(self._sample.moments()):
            if seen.total == 0.0:
                held.append(1.0)
                continue
            values, vectors = leading(self._summed(group, seen))
            shut = self._shut(values)
            kept = shut > WEAKEST
            precision = seen.precision
            self._directions[group], self._values[group] = vectors[:, kept].to(precision), values[kept].to(precision)
            held.append(float((values * shut).sum() / values.sum()))
        self._sample = self._fresh()
        return sum(held) / len(held)

    def _summed(self, group: int, seen: Moments) -> Moments:
        """What all tasks have seen, the latest with a mean eigenvalue of one."""
        scale = self.size / seen.total
        source = seen.factor if seen.factor is not None else seen.covariance
        assert source is not None
        old = self._directions[group].to(source.device, torch.float64)
        values = self._values[group].to(source.device, torch.float64)
        if seen.covariance is not None:
            both = scale * seen.covariance.double() + (old * values) @ old.T
            return Moments(float(both.diagonal().sum()), covariance=both, precision=seen.precision)
        rows = torch.cat([scale**0.5 * source.double(), (old * values.sqrt()).T])
        return of_samples(rows)

    def projection(self) -> Projection:
        shut = [self._shut(values) for values in self._values]
        parts = list(zip(self._directions, shut, strict=True))
        return Projection(pack([weighted(d, w, thinner=len(parts) == 1) for d, w in parts]))

    def state_dict(self) -> dict[str, Any]:
        return {"directions": self._directions, "values": self._values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._directions, self._values = list(state["directions"]), list(state["values"])
