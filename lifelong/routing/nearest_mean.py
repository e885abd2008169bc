"""Route to the expert with the nearest prototype: a handful of k-means centres of each expert's inputs.

Shapes: B inputs of D numbers, P prototypes. Source: the pilot embeddings of RouterRetriever (Lee et al. 2024), in input
space. Cheaper than a likelihood and blind to directions of no variance; a baseline to compare routers with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.router import Match


@dataclass(frozen=True, slots=True)
class NearestMean:
    """Takes the expert one of whose prototypes is nearest (Euclidean).

    prototypes: centres remembered per expert. reject: inputs farther than this share of an expert's own
    inputs are from their nearest centre are unknown to it.
    """

    prototypes: int = 10
    reject: float = 0.001

    def __post_init__(self) -> None:
        if self.prototypes < 1 or not 0 <= self.reject < 1:
            raise ValueError(
                f"NearestMean needs prototypes >= 1 and 0 <= reject < 1, got prototypes={self.prototypes}, "
                f"reject={self.reject}."
            )

    @torch.no_grad()
    def describe(self, inputs: Tensor) -> dict[str, Tensor]:
        rows = inputs.flatten(1).to(torch.float32)
        count = min(self.prototypes, len(rows))
        # Evenly spaced rows start the centres: no random numbers, so the same inputs give the same description.
        centres = rows[torch.linspace(0, len(rows) - 1, count, device=rows.device).long()].clone()
        for _ in range(10):
            nearest = torch.cdist(rows, centres).argmin(1)
            sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
            sizes = torch.bincount(nearest, minlength=count)[:, None]
            centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
        own = torch.cdist(rows[:2048], centres).min(1).values
        farthest = torch.quantile(own, 1 - self.reject, interpolation="higher")
        return {"centres": centres, "farthest": farthest}

    @torch.no_grad()
    def route(self, inputs: Tensor, known: Sequence[tuple[int, dict[str, Tensor]]]) -> Match:
        if not known:
            raise ValueError("There is nobody to route to: no expert has been described yet.")
        rows = inputs.flatten(1).to(torch.float32)
        distances = torch.stack([torch.cdist(rows, kept["centres"]).min(1).values for _, kept in known])
        best = (distances == distances.min(0).values).to(torch.uint8).argmax(0)
        experts = torch.tensor([expert for expert, _ in known], device=rows.device)
        farthest = torch.stack([kept["farthest"] for _, kept in known])
        return Match(experts[best], distances.gather(0, best[None])[0] <= farthest[best])
