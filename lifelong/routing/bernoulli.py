"""Route by naive Bayes on a few on-or-off places of the input: the smallest description that tells permutations apart.

Shapes: B inputs of D numbers, K places. Source: Bernoulli naive Bayes (McCallum & Nigam 1998), worlds for classes, on
a random choice of places that is made from a seed anew each time and so need not be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.routing.router import Description, Voice, at_least_one


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
    def describe(self, inputs: Tensor, voice: Voice) -> Description:
        bits = self._bits(inputs)
        # Half a sample on and half a sample off are added: what was never seen is unlikely, not impossible.
        chances = (bits.sum(0) + 0.5) / (len(bits) + 1.0)
        own = _log_likelihood(bits, chances[None])[:, 0]
        return {"chances": chances, "least": torch.quantile(own[:2048], self.reject, interpolation="lower")}

    def gather(self, known: Sequence[tuple[Voice, Description]]) -> Coins:
        at_least_one(known)
        return Coins(self, [kept for _, kept in known])

    def _bits(self, inputs: Tensor) -> Tensor:
        rows = inputs.flatten(1)
        if self.places is not None and self.places < rows.shape[1]:
            random = torch.Generator().manual_seed(self.seed)
            rows = rows[:, torch.randperm(rows.shape[1], generator=random)[: self.places].to(rows.device)]
        # Sums of many logarithms in double precision: the same in whatever batch an input comes.
        return (rows > self.above).to(torch.float64)


class Coins:
    """The log-likelihood of inputs under each of several sets of independent coins."""

    def __init__(self, router: BernoulliRouter, kept: Sequence[Description]) -> None:
        self._router = router
        self._chances = torch.stack([one["chances"] for one in kept])
        self._least = torch.stack([one["least"] for one in kept])

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        return _log_likelihood(self._router._bits(inputs), self._chances)

    @torch.no_grad()
    def accepts(self, inputs: Tensor, entries: Tensor) -> Tensor:
        return self.scores(inputs).gather(1, entries[:, None])[:, 0] >= self._least[entries]


def _log_likelihood(bits: Tensor, chances: Tensor) -> Tensor:
    """(B, K) bits under each of E sets of independent chances (E, K) -> (B, E)."""
    on, off = chances.log(), (-chances).log1p()
    return bits @ (on - off).T + off.sum(1)
