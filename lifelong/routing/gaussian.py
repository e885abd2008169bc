"""Route by likelihood: each expert's inputs are one Gaussian with a few strong directions and even noise in the rest.

Shapes: B inputs of D numbers, K directions. Source: probabilistic PCA (Tipping & Bishop 1999, eq. 8-10): likelihoods of
two experts can be compared without any calibration between them, and nothing is trained when an expert comes or goes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.router import Match


@dataclass(frozen=True, slots=True)
class GaussianRouter:
    """Takes the expert under whose Gaussian (probabilistic PCA) an input is most likely.

    directions: principal directions remembered per expert. floor: the least noise, as a share of the mean variance.
    reject: inputs less likely than this share of an expert's own inputs are unknown to it.
    """

    directions: int = 32
    floor: float = 0.01
    reject: float = 0.001

    def __post_init__(self) -> None:
        if self.directions < 1 or not 0 < self.floor < 1 or not 0 <= self.reject < 1:
            raise ValueError(
                f"GaussianRouter needs directions >= 1, 0 < floor < 1 and 0 <= reject < 1, got "
                f"directions={self.directions}, floor={self.floor}, reject={self.reject}."
            )

    @torch.no_grad()
    def describe(self, inputs: Tensor) -> dict[str, Tensor]:
        rows = inputs.flatten(1).to(torch.float32)
        n, d = rows.shape
        mean = rows.mean(0)
        centred = rows - mean
        total = centred.square().sum() / max(n - 1, 1)
        k = min(self.directions, d - 1, max(n // 4, 1))
        if d == 1:
            spread = total.clamp_min(1e-6)[None]
            kept = {"mean": mean, "axes": rows.new_ones(1, 1), "variances": spread, "noise": spread[0]}
        else:
            axes, variances = _principal(centred, k)
            noise = (total - variances.sum()).clamp_min(0) / (d - k)
            noise = torch.maximum(noise, self.floor * total / d).clamp_min(1e-6)
            kept = {"mean": mean, "axes": axes, "variances": torch.maximum(variances, noise), "noise": noise}
        near = centred[:2048]
        own = _log_likelihood(near, near.square().sum(1), mean, kept)
        kept["least"] = torch.quantile(own, self.reject, interpolation="lower")
        return kept

    @torch.no_grad()
    def route(self, inputs: Tensor, known: Sequence[tuple[int, dict[str, Tensor]]]) -> Match:
        if not known:
            raise ValueError("There is nobody to route to: no expert has been described yet.")
        rows = inputs.flatten(1).to(torch.float32)
        # Centred once for all: what follows needs only differences between each expert's mean and this one.
        centre = torch.stack([kept["mean"] for _, kept in known]).mean(0)
        rows = rows - centre
        squares = rows.square().sum(1)
        likelihoods = torch.stack([_log_likelihood(rows, squares, centre, kept) for _, kept in known])
        # argmax may return any of several equal maxima; the first one is promised.
        best = (likelihoods == likelihoods.max(0).values).to(torch.uint8).argmax(0)
        experts = torch.tensor([expert for expert, _ in known], device=rows.device)
        return Match(experts[best], _likely(inputs.flatten(1).to(torch.float32), best, known))


def _likely(rows: Tensor, best: Tensor, known: Sequence[tuple[int, dict[str, Tensor]]]) -> Tensor:
    """(B, D) rows and who explains each best -> (B,) whether it is likely enough for that one.

    Seen from that expert's own mean: from a common centre, far from both, too few digits would be left to tell.
    """
    likely = torch.zeros_like(best, dtype=torch.bool)
    for index in torch.unique(best).tolist():
        kept, mine = known[index][1], best == index
        centred = rows[mine] - kept["mean"]
        likely[mine] = _log_likelihood(centred, centred.square().sum(1), kept["mean"], kept) >= kept["least"]
    return likely


def _principal(centred: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(N, D) centred rows -> the K leading axes (D, K) and the variances along them, by the smaller Gram matrix."""
    n, d = centred.shape
    gram = centred @ centred.T if n < d else centred.T @ centred
    values, vectors = torch.linalg.eigh(gram.to(torch.float64))
    values, vectors = values[-k:].flip(0).clamp_min(0), vectors[:, -k:].flip(1)
    if n < d:
        vectors = centred.T.to(torch.float64) @ vectors / values.sqrt().clamp_min(1e-12)
    return vectors.to(centred.dtype), (values / max(n - 1, 1)).to(centred.dtype)


def _log_likelihood(rows: Tensor, squares: Tensor, centre: Tensor, kept: dict[str, Tensor]) -> Tensor:
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
