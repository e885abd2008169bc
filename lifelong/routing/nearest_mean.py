"""Route to the expert with the nearest prototype: a handful of k-means centres of each expert's inputs.

Shapes: B inputs of D numbers, P prototypes. Source: the pilot embeddings of RouterRetriever (Lee et al. 2024), in input
space. Cheaper than a likelihood and blind to directions of no variance; a baseline to compare routers with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.router import Description, Voice, at_least_one


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
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
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

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Prototypes:
        at_least_one(known)
        return Prototypes([kept for _, kept in known])


class Prototypes:
    """How near inputs are to the nearest centre of each of several sets."""

    def __init__(self, kept: Sequence[Description]) -> None:
        # All centres in one matrix: a thousand experts are one product, not a thousand.
        self._centres = torch.cat([one["centres"] for one in kept])
        counts = torch.tensor([len(one["centres"]) for one in kept], device=self._centres.device)
        self._owners = torch.repeat_interleave(torch.arange(len(kept), device=counts.device), counts)
        self._farthest = torch.stack([one["farthest"] for one in kept])

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        distances = torch.cdist(inputs.flatten(1).to(torch.float32), self._centres)
        nearest = distances.new_full((len(distances), len(self._farthest)), torch.inf)
        return -nearest.scatter_reduce_(1, self._owners.expand(len(distances), -1), distances, "amin")

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        return -self.scores(inputs).gather(1, entries[:, None])[:, 0] <= self._farthest[entries]
