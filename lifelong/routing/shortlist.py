"""Who is worth a close look: many Gaussians ranked at once by what little of them a few random directions show.

Shapes: B inputs of D numbers, E Gaussians, Q directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lifelong.routing.projection import directions
from lifelong.routing.router import Description

SEEN = 192
"""Random directions in which Gaussians are compared. Of 1,000 permutations of MNIST (784 numbers), each described by
200 samples, the right one comes first for 98 % of samples; with half as many for 91 %, with a quarter for 76 %, and
then so many have to be looked at closely that it takes longer in all."""

FEW = 8
"""How many of each sample's best ones are looked at closely where a batch is of many worlds, or is a single sample."""

OF_ONE_WORLD = 4
"""Samples per Gaussian that comes first for any: from here on a batch is taken for one of one or few worlds, and the
best one of each sample is enough, as what is missed by one of them is found by another."""


class Shortlist:
    """Ranks Gaussians (mean, axes, variances, noise) as if they had no covariance between the directions."""

    def __init__(self, kept: Sequence[Description]) -> None:
        self._along = directions(len(kept[0]["mean"]), SEEN, 0, kept[0]["mean"].device)
        means = torch.stack([one["mean"] @ self._along for one in kept])
        self._centre = means.mean(0)
        precise = 1 / torch.stack([self._seen(one) for one in kept]).to(torch.float64)
        about = (means - self._centre).to(torch.float64)
        far = about.square() * precise
        # Quadratic forms by products of matrices lose digits where worlds lie far apart for their size.
        self._dtype = torch.float32 if float(far.max()) < 1e4 else torch.float64
        self._forms = torch.cat([(about * precise).T, -0.5 * precise.T]).to(self._dtype)
        self._constants = (-0.5 * (far.sum(1) - precise.log().sum(1))).to(self._dtype)

    def _seen(self, kept: Description) -> Tensor:
        """(Q,) the variances of a Gaussian along the directions."""
        strong = (self._along.T @ kept["axes"]).square() * (kept["variances"] - kept["noise"])
        return (strong.sum(1) + kept["noise"]).clamp_min(1e-12)

    def ranks(self, rows: Tensor) -> Tensor:
        """(B, D) rows -> (B, E) log-likelihoods in the directions, but for a constant."""
        seen = (rows @ self._along - self._centre).to(self._dtype)
        return torch.addmm(self._constants, torch.cat([seen, seen.square()], dim=1), self._forms)

    def pick(self, ranks: Tensor) -> Tensor:
        """(B, E) ranks -> ascending numbers of the entries that are worth a close look."""
        together = ranks.sum(0, keepdim=True)
        chosen = (_reaches(ranks, 1) | _reaches(together, 1)).any(0)
        if OF_ONE_WORLD * int(chosen.sum()) > len(ranks):
            chosen |= _reaches(ranks, FEW).any(0)
        return chosen.nonzero()[:, 0]


def _reaches(ranks: Tensor, few: int) -> Tensor:
    """(B, E) bool: what is among the best few of its row. Equals stay together: who is found must not be chance."""
    least = ranks.amax(1) if few == 1 else ranks.topk(min(few, ranks.shape[1]), dim=1).values[:, -1]
    return ranks >= (least - 16 * torch.finfo(ranks.dtype).eps * least.abs())[:, None]
