"""From what is kept to what an optimizer's step is held to: one hold for each parameter that may not move freely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from lifelong.subspace.choose import Candidate, Wish, hold
from lifelong.subspace.holds import SubspaceHold, View
from lifelong.subspace.ledger import Account, Ledger
from lifelong.subspace.retractions import Retractions
from lifelong.updates.hold import Guard, Hold, RuleHold, StillNorms, freeze


def holds_for(
    ledger: Ledger,
    named: Mapping[str, nn.Parameter],
    norms: Sequence[nn.Module],
    linears: Mapping[str, nn.Linear],
    optimizer: torch.optim.Optimizer,
    wish: Wish,
) -> list[Hold]:
    """The holds of everything that was consolidated; `norms` are kept still. linears: by the name of their weight."""
    frozen = tuple(p for name, p in named.items() if name in ledger.frozen and p.requires_grad)
    holds: list[Hold] = [RuleHold(Guard(frozen, freeze, projects=True))] if frozen else []
    if norms:
        holds.append(StillNorms(norms))
    retracted: list[SubspaceHold] = []
    by_weight: dict[str, list[Account]] = {}
    for account in ledger.kept():
        by_weight.setdefault(account.site.weight, []).append(account)
    shapes = Counter(named[weight].shape for weight in by_weight if weight in named)
    for weight, accounts in by_weight.items():
        if weight not in named or not named[weight].requires_grad:
            continue
        bias = next((a.site.bias for a in accounts if a.site.bias is not None), None)
        views = tuple(View(a.site.geometry, a.site.bias is not None, a.keeper.projection()) for a in accounts)
        layer = linears.get(weight) if ledger.direct.get(weight, False) else None
        rows = max(a.rows for a in accounts)
        alike = shapes[named[weight].shape]
        candidate = Candidate(named[weight], None if bias is None else named[bias], views, layer, rows, alike)
        chosen = hold(candidate, wish, optimizer)
        if isinstance(chosen, SubspaceHold):
            retracted.append(chosen)
        else:
            holds.append(chosen)
    return [*holds, Retractions(retracted)] if retracted else holds
