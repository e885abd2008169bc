"""Orthogonal subspace fine-tuning: what is large in the weights themselves stays; only the rest of them is trained.

Source: Nayak et al. 2025, "Sculpting Subspaces: Constrained Full Fine-Tuning in LLMs for Continual Learning", section 3
(adaptive SVD). At the end of a task the weight is W = U S V^T; its leading K triples are kept, and a step is confined
to U_high^perp x V_high^perp. The published code trains the factors of the rest with projected gradients, which leaks
under Adam; here the step itself is projected, which reaches the same set of weights. Promise: U_high^T W and W V_high
never change, so the leading triples stay triples of W. It needs no data, and is exact for no particular input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lifelong.subspace.cost import Form
from lifelong.subspace.factor import Factor, Projection, pack
from lifelong.subspace.method import Site
from lifelong.subspace.sampling import Sample
from lifelong.subspace.use import Use


@dataclass(frozen=True, slots=True)
class Osft:
    """Orthogonal subspace fine-tuning: what is large in the weights stays (Nayak et al. 2025).

    least, most: shares of the singular triples kept in the least and the most important layer.
    Importance is the mean cosine between a layer's inputs and its outputs (paper, eq. 5), for square layers; others
    count as half important. The paper divides by the mean over all layers, which one layer cannot know: here the cosine
    counts as it is, from 0 to 1.
    """

    least: float = 0.1
    most: float = 0.8
    samples: int = 256
    feels: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False
    form: ClassVar[Form | None] = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.least <= self.most <= 1.0:
            raise ValueError(f"Shares must be 0 <= least <= most <= 1, got least={self.least}, most={self.most}.")
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}.")

    def keeper(self, site: Site) -> OsftKeeper:
        return OsftKeeper(self, site)


class OsftKeeper:
    """The leading singular vectors of a weight, on both sides."""

    def __init__(self, settings: Osft, site: Site) -> None:
        self._settings, self._site = settings, site
        self.size = min(site.geometry.outputs, site.geometry.inputs)
        self._kept = 0
        self._left: Tensor | None = None  # (G, O, K)
        self._right: Tensor | None = None  # (G, D, K), with a row of zeros where a bias is one more input
        self._sample = Sample(settings.samples, constant=False)

    @property
    def rank(self) -> float:
        return float(self._kept)

    def see(self, use: Use) -> None:
        self._sample.add(use)

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
        share = self._settings.least + self._importance(weight) * (self._settings.most - self._settings.least)
        # A later task may find the layer less important; what was promised before is kept all the same.
        self._kept = max(self._kept, round(share * self.size))
        self._left = left[:, :, : self._kept].float()
        columns = right[:, : self._kept].transpose(1, 2)
        if self._site.bias is not None:
            # The bias is no part of the weight's spectrum: it may move where outputs may.
            columns = torch.nn.functional.pad(columns, (0, 0, 0, 1))
        self._right = columns.float()
        self._sample = Sample(self._settings.samples, constant=False)
        squares = values.square()
        return float(squares[:, : self._kept].sum() / squares.sum().clamp_min(1e-300))

    def _importance(self, weight: Tensor) -> float:
        """Mean cosine between inputs and outputs, 0 to 1; one half where they are not of one size."""
        if weight.shape[1] != weight.shape[2] or self._sample.is_empty:
            return 0.5
        cosines = []
        for matrix, seen in zip(weight, self._sample.moments(), strict=True):
            assert seen.factor is not None
            rows = seen.factor.to(matrix)
            cosines.append(torch.cosine_similarity(rows, rows @ matrix.T, dim=1).mean())
        return min(1.0, max(0.0, float(torch.stack(cosines).mean())))

    def projection(self) -> Projection:
        if self._left is None or self._right is None:
            return Projection()
        left = pack([Factor(columns[None]) for columns in self._left])
        right = pack([Factor(columns[None]) for columns in self._right])
        return Projection(right, left)

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self._kept, "left": self._left, "right": self._right}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept, self._left, self._right = state["kept"], state["left"], state["right"]
