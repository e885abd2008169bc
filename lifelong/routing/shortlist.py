"""Who is worth a close look: many Gaussians ranked at once by what little of them a few random directions show.

Shapes: B inputs of D numbers, E Gaussians, Q directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lifelong.routing.projection import directions
from lifelong.routing.router import Description

SEEN = 48
"""Random directions in which Gaussians are compared. With 784 numbers an input, each input's best one is among the
first 8 of 60 for more than 99 % of inputs, and first for 94 %."""

FEW = 8
"""How many of each input's best are looked at, where that makes no more than `ENOUGH` in all; else the best one alone.
Inputs of one world put the same few first, so that what one of them misses another one finds."""

ENOUGH = 16


class Shortlist:
    """Ranks Gaussians (mean, axes, variances, noise) as if they had no covariance between the directions."""

    def __init__(self, kept: Sequence[Description]) -> None:
        self._along = directions(len(kept[0]["mean"]), SEEN, 0, kept[0]["mean"].device)
        means = torch.stack([one["mean"] @ self._along for one in kept]).to(torch.float64)
        variances = torch.stack([self._seen(one) for one in kept]).to(torch.float64)
        # Quadratic forms by products of matrices lose digits where worlds lie far apart, hence float64.
        self._centre = means.mean(0)
        precise = 1 / variances
        self._squared, self._linear = precise.T, ((means - self._centre) * precise).T
        self._constant = ((means - self._centre).square() * precise).sum(1) + variances.log().sum(1)

    def _seen(self, kept: Description) -> Tensor:
        """(Q,) the variances of a Gaussian along the directions."""
        strong = (self._along.T @ kept["axes"]).square() * (kept["variances"] - kept["noise"])
        return (strong.sum(1) + kept["noise"]).clamp_min(1e-12)

    def ranks(self, rows: Tensor) -> Tensor:
        """(B, D) rows -> (B, E) float64 log-likelihoods in the directions, but for a constant."""
        seen = (rows @ self._along).to(torch.float64) - self._centre
        return seen @ self._linear - 0.5 * (seen.square() @ self._squared + self._constant)

    def pick(self, ranks: Tensor) -> Tensor:
        """(B, E) ranks -> ascending numbers of the entries that some input, or all together, put among the first."""
        together = ranks.sum(0, keepdim=True)
        chosen = (_reaches(ranks, 1) | _reaches(together, 1)).any(0)
        if int(chosen.sum()) < ENOUGH:
            more = chosen | _reaches(ranks, FEW).any(0)
            chosen = more if int(more.sum()) <= ENOUGH else chosen
        return chosen.nonzero()[:, 0]


def _reaches(ranks: Tensor, few: int) -> Tensor:
    """(B, E) bool: what is among the best few of its row. Equals stay together: who is found must not be chance."""
    least = ranks.amax(1) if few == 1 else ranks.topk(min(few, ranks.shape[1]), dim=1).values[:, -1]
    return ranks >= (least - 1e-9 * least.abs())[:, None]
