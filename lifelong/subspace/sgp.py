"""Scaled gradient projection: important directions are shut, less important ones only narrowed.

Source: Saha and Roy 2023, "Continual Learning with Scaled Gradient Projection", eq. 5-9. A direction of singular value
s_i gets the importance (alpha + 1) s_i / (alpha s_i + s_max); importances of old directions add up, to at most 1; a
step becomes step (I - U diag(importance) U^T). As for GPM, the optimizer's step is scaled and not its gradient.
Promise: as alpha grows this becomes GPM; at any alpha the step along u_i keeps exactly the share 1 - importance_i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.subspace.basis import fresh_directions
from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Projection, pack, weighted
from lifelong.subspace.gpm import check_energy, check_samples
from lifelong.subspace.method import Site
from lifelong.subspace.moments import Moments
from lifelong.subspace.sampling import Sample
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Sgp:
    """Scaled gradient projection: less important directions are only narrowed (Saha & Roy 2023).

    alpha: how steeply importance rises (10 for CIFAR-100, 25 for Atari in the paper). The others are those of `Gpm`,
    with the same defaults.
    """

    alpha: float = 10.0
    energy: float = 0.99
    first_energy: float | None = 0.95
    increment: float = 0.0
    samples: int | None = 1000
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if self.alpha < 0.0:
            raise ValueError(f"alpha must not be negative, got {self.alpha}.")
        check_energy("energy", self.energy)
        check_energy("first_energy", self.energy if self.first_energy is None else self.first_energy)
        check_samples(self.samples)

    def keeper(self, site: Site) -> SgpKeeper:
        return SgpKeeper(self, site)


class SgpKeeper:
    """Directions and their importances, for each group of a layer."""

    def __init__(self, settings: Sgp, site: Site) -> None:
        self._settings, self._site, self.size = settings, site, site.size
        groups = site.geometry.groups
        self._directions = [torch.zeros(site.size, 0, dtype=torch.float64) for _ in range(groups)]
        self._importance = [torch.zeros(0, dtype=torch.float64) for _ in range(groups)]
        self._tasks = 0
        self._sample = Sample(settings.samples, site.bias is not None)

    @property
    def rank(self) -> float:
        return sum(float(weights.sum()) for weights in self._importance) / len(self._importance)

    def see(self, use: Use) -> None:
        self._sample.add(use)

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        if self._sample.is_empty:
            return 1.0
        energy = self._settings.energy
        if self._site.first and self._settings.first_energy is not None:
            energy = self._settings.first_energy
        energy = min(1.0, energy + self._settings.increment * self._tasks)
        held = [self._grow(group, seen, energy) for group, seen in enumerate(self._sample.moments())]
        self._tasks += 1
        self._sample = Sample(self._settings.samples, self._site.bias is not None)
        return sum(held) / len(held)

    def _grow(self, group: int, seen: Moments, energy: float) -> float:
        if seen.total == 0.0:
            return 1.0
        source = seen.factor if seen.factor is not None else seen.covariance
        assert source is not None
        old = self._directions[group].to(source.device)
        fresh, values, held = fresh_directions(old, seen, energy)
        # How strongly this task uses the old directions: the diagonal of U^T C U (eq. 8).
        along = source.double() @ old
        again = along.square().sum(0) if seen.factor is not None else (old * along).sum(0)
        strengths = torch.cat([again, values]).clamp_min(0.0).sqrt()
        alpha = self._settings.alpha
        weights = (alpha + 1.0) * strengths / (alpha * strengths + strengths.max())
        before = self._importance[group].to(source.device)
        weights[: len(before)] += before
        self._directions[group] = torch.cat([old, fresh], dim=1)
        self._importance[group] = weights.clamp_max(1.0)
        return held

    def projection(self) -> Projection:
        parts = list(zip(self._directions, self._importance, strict=True))
        return Projection(pack([weighted(d.float(), w.float(), thinner=len(parts) == 1) for d, w in parts]))

    def state_dict(self) -> dict[str, Any]:
        return {"directions": self._directions, "importance": self._importance, "tasks": self._tasks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._directions, self._importance = list(state["directions"]), list(state["importance"])
        self._tasks = state["tasks"]
