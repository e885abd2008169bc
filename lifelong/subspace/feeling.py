"""Shows every step's gradients to methods that learn from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lifelong.subspace.method import Keeper, Site
from lifelong.updates.hold import Onlooker


class FeelHold(Onlooker):
    """Holds nothing: just before a step it gives each keeper the gradient of its weight, and its bias as a column."""

    def __init__(self, keepers: Sequence[tuple[Keeper, Site, nn.Parameter, nn.Parameter | None]]) -> None:
        self._keepers = list(keepers)

    @torch.no_grad()
    def before(self, optimizer: torch.optim.Optimizer) -> None:
        for keeper, site, weight, bias in self._keepers:
            if weight.grad is not None:
                keeper.feel(site.joint(weight.grad, None if bias is None else bias.grad))

    def describe(self) -> str:
        return "feels gradients"
