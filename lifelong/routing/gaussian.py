"""Route by likelihood: each expert's inputs are one Gaussian with a few strong directions and even noise in the rest.

Shapes: B inputs of D numbers, K directions. Source: probabilistic PCA (Tipping & Bishop 1999, eq. 8-10): likelihoods of
two experts can be compared without any calibration between them, and nothing is trained when an expert comes or goes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.router import Description, Voice, at_least_one, halves
from lifelong.routing.shortlist import Shortlist
from lifelong.routing.voices import known_to


@dataclass(frozen=True, slots=True)
class GaussianRouter:
    """Takes the expert under whose Gaussian (probabilistic PCA) an input is most likely.

    directions: principal directions remembered per expert. floor: the least noise, as a share of the mean variance.
    reject: inputs less likely than this share of an expert's own inputs are unknown to it. shortlist: with more entries
    than this, only those that look promising in a few random directions are compared exactly, the others are ranked
    behind them.
    """

    directions: int = 32
    floor: float = 0.01
    reject: float = 0.001
    shortlist: int = 32

    def __post_init__(self) -> None:
        if self.directions < 1 or not 0 < self.floor < 1 or not 0 <= self.reject < 1 or self.shortlist < 1:
            raise ValueError(
                f"GaussianRouter needs directions >= 1, 0 < floor < 1, 0 <= reject < 1 and shortlist >= 1, got "
                f"directions={self.directions}, floor={self.floor}, reject={self.reject}, shortlist={self.shortlist}."
            )

    @torch.no_grad()
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        rows = inputs.flatten(1).to(torch.float32)
        kept = self._fit(rows)
        # How likely are inputs of this world that the fit has not seen? Its own are too likely under it, the more so
        # the fewer there are. Two halves judge each other; what they are too strict in, for want of the other half,
        # errs on the side of taking a sample for known.
        own = torch.cat([_likelihood_of(one, self._fit(other)) for one, other in halves(rows)])
        kept["least"] = torch.quantile(own, self.reject, interpolation="lower")
        return kept

    def _fit(self, rows: Tensor) -> Description:
        n, d = rows.shape
        mean = rows.mean(0)
        centred = rows - mean
        total = centred.square().sum() / max(n - 1, 1)
        if d == 1:
            spread = total.clamp_min(1e-6)[None]
            return {"mean": mean, "axes": rows.new_ones(1, 1), "variances": spread, "noise": spread[0]}
        k = min(self.directions, d - 1, max(n // 4, 1))
        axes, variances = _principal(centred, k)
        noise = (total - variances.sum()).clamp_min(0) / (d - k)
        noise = torch.maximum(noise, self.floor * total / d).clamp_min(1e-6)
        return {"mean": mean, "axes": axes, "variances": torch.maximum(variances, noise), "noise": noise}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Gaussians:
        at_least_one(known)
        return Gaussians([kept for _, kept in known], self.shortlist)


class Gaussians:
    """The log-likelihood of inputs under each of several Gaussians."""

    def __init__(self, kept: Sequence[Description], shortlist: int) -> None:
        self._kept = kept
        self._shortlist = Shortlist(kept) if len(kept) > shortlist else None
        # Centred once for all: what follows needs only differences between each expert's mean and this one.
        self._centre = torch.stack([one["mean"] for one in kept]).mean(0)

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        given = inputs.flatten(1).to(torch.float32)
        rows = given - self._centre
        squares = rows.square().sum(1)
        if self._shortlist is None or not len(rows):
            return self._exact(rows, squares, range(len(self._kept)))
        ranks = self._shortlist.ranks(given)
        looked_at = self._shortlist.pick(ranks)
        exact = self._exact(rows, squares, looked_at.tolist())
        # The others stand behind the worst of those, in their own order: comparing two of them still says something.
        behind = ranks.sub_(ranks.amax(1, keepdim=True) + 1 - exact.amin(1, keepdim=True)).to(exact.dtype)
        behind[:, looked_at] = exact
        return behind

    def _exact(self, rows: Tensor, squares: Tensor, which: Iterable[int]) -> Tensor:
        """(B, len(which)) log-likelihoods of rows about the common centre."""
        return torch.stack([_log_likelihood(rows, squares, self._centre, self._kept[i]) for i in which], dim=1)

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        rows = inputs.flatten(1).to(torch.float32)

        def likely(index: int, some: Tensor) -> Tensor:
            return _likelihood_of(some, self._kept[index]) >= self._kept[index]["least"]

        return known_to(entries, rows, likely)


def _likelihood_of(rows: Tensor, kept: Description) -> Tensor:
    """Seen from the expert's own mean: from a common centre, far from both, too few digits would be left to tell."""
    centred = rows - kept["mean"]
    return _log_likelihood(centred, centred.square().sum(1), kept["mean"], kept)


def _principal(centred: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(N, D) centred rows -> the K leading axes (D, K) and the variances along them, by the smaller Gram matrix."""
    n, d = centred.shape
    gram = centred @ centred.T if n < d else centred.T @ centred
    values, vectors = torch.linalg.eigh(gram.to(torch.float64))
    values, vectors = values[-k:].flip(0).clamp_min(0), vectors[:, -k:].flip(1)
    if n < d:
        vectors = centred.T.to(torch.float64) @ vectors / values.sqrt().clamp_min(1e-12)
    return vectors.to(centred.dtype), (values / max(n - 1, 1)).to(centred.dtype)


def _log_likelihood(rows: Tensor, squares: Tensor, centre: Tensor, kept: Description) -> Tensor:
    """(B,) log-likelihoods of (B, D) rows that lie relative to `centre`, given their squared norms (B,)."""
    mean, axes, variances, noise = kept["mean"] - centre, kept["axes"], kept["variances"], kept["noise"]
    # One skinny product gives the coordinates along the axes and along the mean: no (B, D) copy per expert.
    products = rows @ torch.cat([axes, mean[:, None]], dim=1)
    along = (products[:, :-1] - mean @ axes).square()
    distant = squares - 2 * products[:, -1] + mean.square().sum()
    rest = (distant - along.sum(1)).clamp_min(0)
    d, k = rows.shape[1], variances.shape[0]
    volume = variances.log().sum() + (d - k) * noise.log() + d * math.log(2 * math.pi)
    return -0.5 * ((along / variances).sum(1) + rest / noise + volume)
