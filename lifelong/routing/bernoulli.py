"""Route by naive Bayes on a few on-or-off places of the input: the smallest description that tells permutations apart.

Shapes: B inputs of D numbers, K places. Source: Bernoulli naive Bayes (McCallum & Nigam 1998), worlds for classes, on
a random choice of places that is made from a seed anew each time and so need not be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.router import Match


@dataclass(frozen=True, slots=True)
class BernoulliRouter:
    """Takes the expert under whose chances of being on, place by place, an input is most likely.

    places: numbers of an input that are looked at (null: all); an expert's description is one chance for each, and the
    bound below. above: what counts as on. reject: inputs less likely than this share of an expert's own inputs are
    unknown to it. seed: of the choice of places. Blind to how places go together: for worlds whose means differ.
    """

    places: int | None = 200
    above: float = 0.5
    reject: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.places is not None and self.places < 1) or not 0 <= self.reject < 1:
            raise ValueError(
                f"BernoulliRouter needs places >= 1 (or None for all) and 0 <= reject < 1, got places={self.places}, "
                f"reject={self.reject}."
            )

    @torch.no_grad()
    def describe(self, inputs: Tensor) -> dict[str, Tensor]:
        bits = self._bits(inputs)
        # Half a sample on and half a sample off are added: what was never seen is unlikely, not impossible.
        chances = (bits.sum(0) + 0.5) / (len(bits) + 1.0)
        own = _log_likelihood(bits, chances)
        return {"chances": chances, "least": torch.quantile(own[:2048], self.reject, interpolation="lower")}

    @torch.no_grad()
    def route(self, inputs: Tensor, known: Sequence[tuple[int, dict[str, Tensor]]]) -> Match:
        if not known:
            raise ValueError("There is nobody to route to: no expert has been described yet.")
        bits = self._bits(inputs)
        likelihoods = torch.stack([_log_likelihood(bits, kept["chances"]) for _, kept in known])
        # argmax may return any of several equal maxima; the first one is promised.
        best = (likelihoods == likelihoods.max(0).values).to(torch.uint8).argmax(0)
        experts = torch.tensor([expert for expert, _ in known], device=bits.device)
        least = torch.stack([kept["least"] for _, kept in known])
        return Match(experts[best], likelihoods.gather(0, best[None])[0] >= least[best])

    def _bits(self, inputs: Tensor) -> Tensor:
        rows = inputs.flatten(1)
        if self.places is not None and self.places < rows.shape[1]:
            random = torch.Generator().manual_seed(self.seed)
            rows = rows[:, torch.randperm(rows.shape[1], generator=random)[: self.places].to(rows.device)]
        # Sums of many logarithms in double precision: the same in whatever batch an input comes.
        return (rows > self.above).to(torch.float64)


def _log_likelihood(bits: Tensor, chances: Tensor) -> Tensor:
    """(B, K) bits under independent chances (K,) -> (B,)."""
    on, off = chances.log(), (-chances).log1p()
    return (bits * (on - off)).sum(1) + off.sum()
