"""Shows every step's gradients to methods that learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.subspace.method import Keeper, Site


class FeelHold:
    """Holds nothing: just before a step it gives each keeper the gradient of its weight, and its bias as a column."""

    def __init__(self, keepers: Sequence[tuple[Keeper, Site, nn.Parameter, nn.Parameter | None]]) -> None:
        self._keepers = list(keepers)

    @torch.no_grad()
    def before(self, optimizer: torch.optim.Optimizer) -> None:
        for keeper, site, weight, bias in self._keepers:
            if weight.grad is not None:
                keeper.feel(site.joint(weight.grad, None if bias is None else bias.grad))

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        pass

    def sync(self) -> None:
        pass

    def rebase(self) -> None:
        pass

    def rewound(self) -> None:
        pass

    def tensors(self) -> list[Tensor]:
        return []

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def describe(self) -> str:
        return "feels gradients"

    def release(self) -> None:
        pass
