"""A trained selector: a network that tells from an unlabelled input which expert knows its world.

Shapes: N kept samples, B inputs, E experts, K outputs. Source: Zhu et al. 2022 (TAME, arXiv 2210.03869), section 3.3;
with an output for each kind of sample within an expert's world it is a classifier whose classes are summed by expert.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.fit import Augment, Fit, fit
from lifelong.network import Network
from lifelong.thinning import Thinning, thin
from lifelong.whole import whole


class Selector(nn.Module):
    """(B, ...) inputs -> (B, E) log-probabilities of the experts, whose numbers are in `experts`, ascending.

    `body` has K outputs, and `owners` (K,) says which expert (0..E-1, by place in `experts`) each of them speaks for.
    """

    experts: Tensor
    owners: Tensor

    def __init__(self, body: nn.Module, experts: Tensor, owners: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("experts", experts)
        self.register_buffer("owners", owners)

    def forward(self, inputs: Tensor) -> Tensor:
        chances = F.softmax(self.body(inputs), dim=1)
        summed = chances.new_zeros(len(chances), len(self.experts)).index_add_(1, self.owners, chances)
        return summed.clamp_min(torch.finfo(summed.dtype).tiny).log()

    @torch.no_grad()
    def choose(self, inputs: Tensor) -> Tensor:
        """(B, ...) inputs -> (B,) numbers of the most likely experts. Puts the selector into eval mode."""
        self.eval()
        chosen: Tensor = self.experts[self(inputs).argmax(1)]
        return chosen


def train_selector(
    inputs: Tensor,
    experts: Tensor,
    network: Network,
    recipe: Fit,
    seed: int,
    thinning: Thinning | None = None,
    augment: Augment | None = None,
    kinds: Tensor | None = None,
) -> Selector:
    """A selector trained on (N, ...) kept inputs and the numbers (N,) of the experts whose they are.

    thinning: then pruned and trained again. augment: changes each batch at random. kinds: (N,) int64, what sort of
    sample each is within its expert's world (its class, for instance): each sort of each expert gets an output of its
    own, which tells the network more than the expert alone. The same arguments give the same selector; torch's random
    state is left as it was. Raises ValueError for nothing to train on, and for counts that differ.
    """
    if not len(inputs) or len(experts) != len(inputs) or (kinds is not None and len(kinds) != len(inputs)):
        told = "" if kinds is None else f", {len(kinds)} kinds"
        raise ValueError(
            f"A selector needs an expert for every input and at least one, got {len(inputs)} inputs, "
            f"{len(experts)} experts{told}."
        )
    numbers, of = torch.unique(experts, return_inverse=True)
    pairs = of[:, None] if kinds is None else torch.stack([of, kinds.to(of.device)], dim=1)
    sorts, targets = torch.unique(pairs, dim=0, return_inverse=True)
    body = whole(network, tuple(inputs.shape[1:]), len(sorts), seed, inputs.device)
    fit(body, inputs, targets, F.cross_entropy, recipe, seed, augment=augment)
    if thinning is not None:
        thin(body, inputs, targets, F.cross_entropy, thinning, seed, augment)
    return Selector(body, numbers, sorts[:, 0]).eval()
