"""Shows every step's gradients to methods that learn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from lifelong.subspace.ledger import Account, Ledger
from lifelong.updates.hold import Onlooker


class FeelHold(Onlooker):
    """Holds nothing: just before a step it gives each keeper the gradient of its weight, and its bias as a column."""

    def __init__(self, ledger: Ledger, felt: Sequence[tuple[Account, nn.Parameter, nn.Parameter | None]]) -> None:
        self._ledger, self._felt = ledger, list(felt)

    @torch.no_grad()
    def before(self, optimizer: torch.optim.Optimizer) -> None:
        for account, weight, bias in self._felt:
            if weight.grad is not None:
                account.keeper.feel(account.site.joint(weight.grad, None if bias is None else bias.grad))
                self._ledger.felt = True

    def describe(self) -> str:
        return "feels gradients"


def feel_hold(
    method: str, ledger: Ledger, named: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> FeelHold:
    """Of all weights that this optimizer moves; raises ValueError where nobody knows yet which weights there are."""
    if not ledger.accounts:
        raise ValueError(
            f"{method} learns from gradients, and does not know yet which weights there are. Show it one batch "
            "before `attach`: with protection.watching(): model(batch)"
        )
    members = {id(p) for group in optimizer.param_groups for p in group["params"]}
    mine = {name: p for name, p in named.items() if id(p) in members}
    return FeelHold(
        ledger,
        [
            (a, mine[a.site.weight], None if a.site.bias is None else mine.get(a.site.bias))
            for a in ledger.accounts.values()
            if a.site.weight in mine and a.site.weight not in ledger.frozen and not a.site.geometry.lookup
        ],
    )
