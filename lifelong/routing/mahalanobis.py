"""Route by keys: whose key is nearest, in a measure of distance that all experts' inputs have shaped together.

Shapes: B inputs seen in Q random directions, K keys per expert, E entries. Each expert keeps its keys and how its
inputs scatter around them; the scatters add up to one covariance for all, so that an expert more moves everybody's
distances a little, and nobody's threshold. Source: the retrieval of SLM (Peng et al. 2024,
dynamic task-related knowledge retrieval), with the shrinkage of Chen et al. (2010), eq. 23 without its 2/p terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.k_means import centres_of, highest, same_number
from lifelong.routing.projection import projected
from lifelong.routing.router import Description, Voice, at_least_one, halves


@dataclass(frozen=True, slots=True)
class Mahalanobis:
    """Takes the expert whose key is nearest by Mahalanobis distance, with one covariance for all; fast with many.

    keys: means remembered per expert. directions: random directions in which inputs are looked at. reject: inputs
    farther than this share of an expert's own inputs, by its own covariance, are unknown to it. seed: the directions'.
    """

    keys: int = 4
    directions: int = 64
    reject: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keys < 1 or self.directions < 1 or not 0 <= self.reject < 1:
            raise ValueError(
                f"Mahalanobis needs keys >= 1, directions >= 1 and 0 <= reject < 1, got keys={self.keys}, "
                f"directions={self.directions}, reject={self.reject}."
            )

    @torch.no_grad()
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        rows = projected(inputs, self.directions, self.seed)
        kept = self._fit(rows)
        # Judged by the expert's own covariance, which no expert that comes later can move.
        own = torch.cat([self._judge(one, self._fit(other)) for one, other in halves(rows)])
        kept["farthest"] = torch.quantile(own, 1 - self.reject, interpolation="higher")
        return kept

    def _fit(self, rows: Tensor) -> Description:
        keys = centres_of(rows, self.keys)
        apart = rows - keys[torch.cdist(rows, keys).argmin(1)]
        freedom = torch.tensor(float(max(len(rows) - len(keys), 1)), device=rows.device)
        return {"keys": keys, "scatter": apart.T @ apart, "freedom": freedom}

    def _judge(self, rows: Tensor, kept: Description) -> Tensor:
        whitener = _whitener(kept["scatter"], kept["freedom"])
        return _distances(rows, kept["keys"][:, None], whitener)

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Keys:
        at_least_one(known)
        return Keys([kept for _, kept in known], self.directions, self.seed)


class Keys:
    """How near inputs are to the nearest key of each of several experts."""

    def __init__(self, kept: Sequence[Description], most: int, seed: int) -> None:
        self._most, self._seed = most, seed
        self._keys = same_number([one["keys"] for one in kept])
        self._own = torch.stack([_whitener(one["scatter"], one["freedom"]) for one in kept])
        self._farthest = torch.stack([one["farthest"] for one in kept])
        scatter = torch.stack([one["scatter"] for one in kept]).sum(0)
        self._whitener = _whitener(scatter, torch.stack([one["freedom"] for one in kept]).sum())
        # Centred once for all: far from all keys, too few digits would be left to tell their distances apart.
        self._centre = self._keys.mean((0, 1))
        white = (self._keys - self._centre) @ self._whitener
        self._dtype = torch.float32 if float(white.square().sum(-1).max()) < 1e5 else torch.float64
        self._white, self._whitener = white.to(self._dtype), self._whitener.to(self._dtype)

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """(B, E): minus half the squared distance, a log-likelihood but for what is the same for every entry."""
        rows = (projected(inputs, self._most, self._seed) - self._centre).to(self._dtype) @ self._whitener
        return highest(rows, self._white).sub_(0.5 * rows.square().sum(1, keepdim=True)).to(torch.float32)

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        rows = projected(inputs, self._most, self._seed)
        return _distances(rows, self._keys[:, entries], self._own[entries]) <= self._farthest[entries]


def _distances(rows: Tensor, keys: Tensor, whiteners: Tensor) -> Tensor:
    """(B, Q) rows, (K, B, Q) keys, (B, Q, Q) -> (B,) distances from the nearest key."""
    apart = (rows - keys).transpose(0, 1) @ whiteners
    return apart.square().sum(-1).amin(1).sqrt()


def _whitener(scatter: Tensor, freedom: Tensor) -> Tensor:
    """(Q, Q) W such that |x W| is the Mahalanobis length of x under the shrunk covariance: W W' is its inverse."""
    shrunk = oracle_shrunk(scatter.to(torch.float64) / freedom, float(freedom))
    factor = torch.linalg.cholesky(shrunk)
    unit = torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
    inverse: Tensor = torch.linalg.solve_triangular(factor, unit, upper=False)
    return inverse.T.to(scatter.dtype)


def oracle_shrunk(covariance: Tensor, samples: float) -> Tensor:
    """(Q, Q) covariance of so many samples, drawn towards a sphere as far as the number of samples asks for."""
    q = len(covariance)
    mean = covariance.trace() / q
    spread = covariance.square().mean() - mean.square() / q
    share = ((covariance.square().mean() + mean.square()) / ((samples + 1) * spread).clamp_min(1e-300)).clamp(max=1.0)
    # Inputs that never vary leave no covariance at all: a little of everything keeps distances finite.
    ball = (share * mean + 1e-6 * mean + 1e-8) * torch.eye(q, dtype=covariance.dtype, device=covariance.device)
    return (1 - share) * covariance + ball
