"""A table of embeddings, row by row: the rows that were looked up must not move, all others may.

The input of a lookup is one-hot, so the span of what was seen is exactly the rows that were taken: this is what every
input-side method comes to, for any energy. Shapes: V rows of the table, E entries of each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lifelong.subspace.factor import Projection
from lifelong.subspace.method import Site
from lifelong.subspace.use import Use


class LookupKeeper:
    """Remembers which rows were taken."""

    def __init__(self, site: Site) -> None:
        self.size = site.geometry.outputs
        self._seen = torch.zeros(self.size, dtype=torch.bool)
        self._kept = torch.zeros(self.size, dtype=torch.bool)

    @property
    def rank(self) -> float:
        return float(self._kept.sum())

    def see(self, use: Use) -> None:
        self._seen = self._seen.to(use.inputs.device)
        self._seen[use.inputs] = True

    def feel(self, gradient: Tensor) -> None:
        pass

    def consolidate(self, weight: Tensor) -> float:
        self._kept = self._kept.to(self._seen.device) | self._seen
        self._seen = torch.zeros_like(self._seen)
        return 1.0

    def projection(self) -> Projection:
        return Projection(rows=self._kept)

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self._kept, "seen": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept, self._seen = state["kept"], state["seen"]
