"""Continual subspace optimization: protect the directions that the gradients of earlier tasks pointed in.

Source: Cheng et al. 2025, "Continual Learning through Subspace Optimization" (CoSO), algorithm 1. Gradients of a task
are summed up in a Frequent Directions sketch, without the part that is protected already; at its end the leading
directions join the protected ones. The published form works on the output side of a weight: permitted steps are
orthogonal to the outputs that earlier tasks wrote into, which does not keep old outputs. The input side is ours: a
gradient's rows are combinations of inputs, so it keeps old outputs as far as old inputs made gradients. The inner
low-rank Adam of the paper is not part of this: any optimizer steps, and its step is projected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lifelong.subspace.basis import Basis
from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Factor, Projection, pack
from lifelong.subspace.gpm import check_energy
from lifelong.subspace.method import Site
from lifelong.subspace.moments import Covariance, FrequentDirections
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Coso:
    """CoSO: directions that earlier gradients pointed in are shut (Cheng et al. 2025).

    side: "output" as published, or "input"; sketch: its rows (the paper's r2), or half of the numbers that are kept for
    each direction where a weight has few; energy: share kept.

    The defaults are those of ImageNet-R. Keepers want every gradient, so `attach` must have been called before the
    first task, and one batch been watched before that, which tells which weights there are.
    """

    side: Literal["output", "input"] = "output"
    sketch: int = 120
    energy: float = 0.98
    feels: ClassVar[bool] = True
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if self.side not in ("output", "input"):
            raise ValueError(f"side must be 'output' or 'input', got {self.side!r}.")
        if self.sketch < 1:
            raise ValueError(f"sketch must have at least one row, got {self.sketch}.")
        check_energy("energy", self.energy)

    def keeper(self, site: Site) -> CosoKeeper:
        return CosoKeeper(self, site)


class CosoKeeper:
    """A basis of gradient directions for each group, and the sketch of the task at hand."""

    def __init__(self, settings: Coso, site: Site) -> None:
        self._settings, self._site = settings, site
        self.size = site.size if settings.side == "input" else site.geometry.outputs
        self._bases = [Basis(self.size) for _ in range(site.geometry.groups)]
        self._sketch: Covariance | FrequentDirections | None = None

    @property
    def rank(self) -> float:
        return sum(basis.rank for basis in self._bases) / len(self._bases)

    def see(self, use: Use) -> None:
        pass

    def feel(self, gradient: Tensor) -> None:
        """(G, O, D) gradient of a step, with a column for a bias that is protected with its weight."""
        rows = gradient if self._settings.side == "input" else gradient.transpose(1, 2)
        rows = rows.float()
        outside = torch.stack([basis.remove(group) for basis, group in zip(self._bases, rows, strict=True)])
        if self._sketch is None:
            # Where the sketch has room for all second moments, these are exact, and cheaper.
            exact = self.size <= 2 * self._settings.sketch
            self._sketch = Covariance() if exact else FrequentDirections(self._settings.sketch)
        self._sketch.add(outside)

    def consolidate(self, weight: Tensor) -> float:
        if self._sketch is None:
            return 1.0
        moments = self._sketch.moments()
        held = [basis.grow(seen, self._settings.energy) for basis, seen in zip(self._bases, moments, strict=True)]
        self._sketch = None
        return sum(held) / len(held)

    def projection(self) -> Projection:
        complement = 2 * max(basis.rank for basis in self._bases) > self.size
        factor: Factor = pack([basis.factor(complement) for basis in self._bases])
        return Projection(right=factor) if self._settings.side == "input" else Projection(left=factor)

    def state_dict(self) -> dict[str, Any]:
        return {"bases": [basis.state_dict() for basis in self._bases]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for basis, kept in zip(self._bases, state["bases"], strict=True):
            basis.load_state_dict(kept)
