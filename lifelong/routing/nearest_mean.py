"""Route to the expert with the nearest prototype: a handful of k-means centres of each expert's inputs.

Shapes: B inputs of D numbers, E entries, K prototypes each. Source: the pilot embeddings of RouterRetriever (Lee et al.
2024). Cheaper than a likelihood and blind to directions of no variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lifelong.routing.k_means import centres_of, highest, same_number
from lifelong.routing.projection import projected
from lifelong.routing.router import Description, Voice, at_least_one, halves
from lifelong.routing.voices import ask_each, known_to

Space = Literal["inputs", "directions", "features"]


@dataclass(frozen=True, slots=True)
class NearestMean:
    """Takes the expert one of whose prototypes is nearest (Euclidean).

    prototypes: centres remembered per expert. reject: inputs farther than this share of an expert's own
    inputs are from their nearest centre are unknown to it. space: where distances are taken: in the inputs; in a few
    fixed random `directions` of them, made from `seed`, which is quicker with many experts; or in each expert's own
    features, where distances are divided by what is usual for inputs of its own.
    """

    prototypes: int = 10
    reject: float = 0.001
    space: Space = "inputs"
    directions: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.prototypes < 1 or not 0 <= self.reject < 1 or self.directions < 1:
            raise ValueError(
                f"NearestMean needs prototypes >= 1, 0 <= reject < 1 and directions >= 1, got "
                f"prototypes={self.prototypes}, reject={self.reject}, directions={self.directions}."
            )
        if self.space not in ("inputs", "directions", "features"):
            raise ValueError(f"NearestMean: space is 'inputs', 'directions' or 'features', got {self.space!r}.")

    @torch.no_grad()
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        rows = _features(voice, inputs) if self.space == "features" else self._rows(inputs)
        centres = centres_of(rows, self.prototypes)
        own = _distances(rows[:2048], centres[:, None])
        farthest = torch.quantile(own, 1 - self.reject, interpolation="higher")
        if self.space != "features":
            return {"centres": centres, "farthest": farthest}
        # What is usual is said of inputs that the centres have not seen: how closely they were drawn must not count.
        unseen = [_distances(one, centres_of(other, self.prototypes)[:, None]) for one, other in halves(rows)]
        return {"centres": centres, "farthest": farthest, "usual": torch.cat(unseen).mean()}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Prototypes | OwnPrototypes:
        at_least_one(known)
        if self.space == "features":
            return OwnPrototypes(known)
        return Prototypes([kept for _, kept in known], self._rows)

    def _rows(self, inputs: Tensor) -> Tensor:
        if self.space == "directions":
            return projected(inputs, self.directions, self.seed)
        return inputs.flatten(1).to(torch.float32)


class Prototypes:
    """How near inputs are to the nearest centre of each of several sets, in one space for all."""

    def __init__(self, kept: Sequence[Description], see: Callable[[Tensor], Tensor]) -> None:
        self._see = see
        self._centres = same_number([one["centres"] for one in kept])
        self._farthest = torch.stack([one["farthest"] for one in kept])
        # Centred once for all: far from all centres, too few digits would be left to tell their distances apart.
        self._middle = self._centres.mean((0, 1))
        about = self._centres - self._middle
        far = float(about.square().sum(-1).max()) > 1e4 * float(self._farthest.square().min())
        self._about = about.to(torch.float64 if far else torch.float32)

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        rows = (self._see(inputs) - self._middle).to(self._about.dtype)
        halved = highest(rows, self._about).sub_(0.5 * rows.square().sum(1, keepdim=True))
        return halved.mul_(-2).clamp_min_(0).sqrt_().neg_().to(torch.float32)

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        return _distances(self._see(inputs), self._centres[:, entries]) <= self._farthest[entries]


class OwnPrototypes:
    """The same in each expert's own features, by how far its own inputs usually are."""

    def __init__(self, known: Sequence[tuple[Voice, Description]]) -> None:
        self._voices, self._kept = [voice for voice, _ in known], [kept for _, kept in known]

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        features = ask_each(self._voices, lambda voice: _features(voice, inputs))
        pairs = zip(features, self._kept, strict=True)
        near = [_distances(rows, kept["centres"][:, None]) / kept["usual"].clamp_min(1e-6) for rows, kept in pairs]
        return -torch.stack(near, dim=1)

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        def near_enough(index: int, some: Tensor) -> Tensor:
            rows, kept = _features(self._voices[index], some), self._kept[index]
            return _distances(rows, kept["centres"][:, None]) <= kept["farthest"]

        return known_to(entries, inputs, near_enough)


def _features(voice: Voice, inputs: Tensor) -> Tensor:
    return voice.features(inputs).flatten(1).to(torch.float32)


def _distances(rows: Tensor, centres: Tensor) -> Tensor:
    """(B, D) rows, (K, B or 1, D) centres -> (B,) distances from the nearest, as exact as thresholds need."""
    nearest = (rows - centres[0]).square().sum(1)
    for one in centres[1:]:
        nearest = torch.minimum(nearest, (rows - one).square().sum(1))
    return nearest.sqrt()
