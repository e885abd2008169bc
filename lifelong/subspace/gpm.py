"""Gradient projection memory: protect the input directions that what was learned so far depends on.

Source: Saha, Garg and Roy 2021, "Gradient Projection Memory for Continual Learning", eq. 5-9; DualGPM (Liang & Li
2023) for keeping the complement of more than half. Two departures: the optimizer's step is projected instead of its
gradient, so that any optimizer is safe, and a bias is protected with its weight, as a weight on an input that is always
one. Promise: for x in the protected span, (W + dW) x = W x exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from lifelong.subspace.basis import Basis
from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Projection, pack
from lifelong.subspace.method import Site
from lifelong.subspace.moments import Moments
from lifelong.subspace.sampling import Sample
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Gpm:
    """Gradient projection memory: the input directions that tasks use are shut (Saha et al. 2021).

    The defaults are those of the paper's permuted MNIST, with more samples.

    energy: share (0..1] of a layer's squared inputs to protect; first_energy: the same for the layer that sees the
    data itself (None: as the others); increment: added to both after every consolidation (the paper's schedule for
    CIFAR-100 is .97 + .003 per task). samples: rows kept per layer until the consolidation; None: second moments of
    all that passes, in flight, or of 1,024 rows of a call that has more, and a sketch of them where a layer is wider
    than 1,536. half_life: for those, calls after which a row counts half.
    """

    energy: float = 0.99
    first_energy: float | None = 0.95
    increment: float = 0.0
    samples: int | None = 1000
    half_life: float | None = None
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        check_energy("energy", self.energy)
        check_energy("first_energy", self.energy if self.first_energy is None else self.first_energy)
        check_samples(self.samples)
        if not self.increment >= 0.0:
            raise ValueError(f"increment must not be negative, got {self.increment}.")
        if self.half_life is not None and not self.half_life > 0.0:
            raise ValueError(f"half_life must be a positive number of calls, or None, got {self.half_life}.")

    def keeper(self, site: Site) -> GpmKeeper:
        return GpmKeeper(self, site)


class GpmKeeper:
    """One basis for each group of a layer."""

    def __init__(self, settings: Gpm, site: Site) -> None:
        self._settings, self._site, self.size = settings, site, site.size
        self._bases = [Basis(site.size) for _ in range(site.geometry.groups)]
        self._tasks = 0
        self._sample = self._fresh()

    def _fresh(self) -> Sample:
        return Sample(self._settings.samples, self._site.bias is not None, self._settings.half_life)

    @property
    def rank(self) -> float:
        return sum(basis.rank for basis in self._bases) / len(self._bases)

    def directions(self) -> list[Tensor]:
        """(D, R) orthonormal protected directions of each group."""
        return [basis.directions() for basis in self._bases]

    def seen(self) -> list[Moments]:
        """Moments of what was seen since the last consolidation, for each group; none where that was nothing."""
        return [] if self._sample.is_empty else self._sample.moments()

    def energy(self) -> float:
        """The share that the next consolidation will hold."""
        settings = self._settings
        own = settings.first_energy if self._site.first else None
        energy = settings.energy if own is None else own
        return min(1.0, energy + settings.increment * self._tasks)

    def forget_seen(self) -> None:
        """Start the sample anew."""
        self._sample = self._fresh()

    def see(self, use: Use) -> None:
        self._sample.add(use)

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        if self._sample.is_empty:
            return 1.0
        energy = self.energy()
        held = [basis.grow(seen, energy) for basis, seen in zip(self._bases, self.seen(), strict=True)]
        self._tasks += 1
        self._sample = self._fresh()
        return sum(held) / len(held)

    def projection(self) -> Projection:
        if len(self._bases) == 1:
            return Projection(self._bases[0].factor())
        complement = 2 * max(basis.rank for basis in self._bases) > self.size
        return Projection(pack([basis.factor(complement) for basis in self._bases]))

    def state_dict(self) -> dict[str, Any]:
        return {"bases": [basis.state_dict() for basis in self._bases], "tasks": self._tasks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._tasks = state["tasks"]
        for basis, kept in zip(self._bases, state["bases"], strict=True):
            basis.load_state_dict(kept)


def check_energy(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise ValueError(f"{name} must be in (0, 1], got {value}.")


def check_samples(value: int | None) -> None:
    if value is not None and not isinstance(value, int):
        raise ValueError(f"samples must be a whole number or None, got {value!r}.")
    if value is not None and value < 1:
        raise ValueError(f"samples must be at least 1, or None for the second moments of all rows, got {value}.")
