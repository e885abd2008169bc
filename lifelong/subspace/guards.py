"""From what is kept to what an optimizer's step is held to: one hold for each parameter that may not move freely."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from lifelong.subspace.choose import Candidate, Wish, hold
from lifelong.subspace.holds import SubspaceHold, View
from lifelong.subspace.ledger import Account, Ledger
from lifelong.subspace.made_hold import hold_made
from lifelong.subspace.parametrized import Made
from lifelong.subspace.retractions import Retractions
from lifelong.subspace.use import Geometry, fitted
from lifelong.updates.hold import Guard, Hold, RuleHold, StillModules, freeze

STANDS = "put back: weight and bias do not move by the same optimizer"


def holds_for(
    ledger: Ledger,
    named: Mapping[str, nn.Parameter],
    made: Mapping[str, Made],
    still: Sequence[nn.Module],
    linears: Mapping[str, nn.Linear],
    optimizer: torch.optim.Optimizer,
    wish: Wish,
) -> tuple[list[Hold], dict[str, str]]:
    """The holds of everything that was consolidated, and in words how each parameter or made weight is held, by name.

    named: all parameters; made: weights that are made of them; still: modules that must not change by themselves;
    linears: by the name of their weight.
    """
    members = {id(p) for group in optimizer.param_groups for p in group["params"]}
    mine = {name: p for name, p in named.items() if id(p) in members}
    frozen = {name: p for name, p in mine.items() if name in ledger.frozen and p.requires_grad}
    holds: list[Hold] = [RuleHold(Guard(tuple(frozen.values()), freeze, projects=True))] if frozen else []
    told = dict.fromkeys(frozen, "put back")
    if still:
        holds.append(StillModules(still))
    retracted: list[SubspaceHold] = []
    by_weight: dict[str, list[Account]] = {}
    for account in ledger.kept():
        by_weight.setdefault(account.site.weight, []).append(account)
    shapes = Counter(named[weight].shape for weight in by_weight if weight in named)
    for weight, accounts in by_weight.items():
        bias = next((a.site.bias for a in accounts if a.site.bias is not None), None)
        views = tuple(View(_geometry(a, named), a.site.bias is not None, a.keeper.projection()) for a in accounts)
        pair = [name for name in (weight, bias) if name is not None]
        if any(name in made for name in pair):
            parts = hold_made([made[n] if n in made else named[n] for n in pair], views, mine, wish.every or 1)
            holds += parts
            told |= {name: part.describe() for part in parts for name in pair}
            continue
        moving = tuple(mine[name] for name in pair if name in mine and mine[name].requires_grad)
        if not moving:
            continue
        if moving[0] is not named[weight] or any(name not in mine for name in pair):
            # One that stands still, or moves by another optimizer, cannot make up for what the other one does.
            holds.append(RuleHold(Guard(moving, freeze, projects=True)))
            told |= {name: STANDS for name in pair if name in mine}
            continue
        layer = linears.get(weight) if ledger.direct.get(weight, False) else None
        rows = max(a.rows for a in accounts)
        alike = shapes[named[weight].shape]
        candidate = Candidate(named[weight], None if bias is None else named[bias], views, layer, rows, alike)
        chosen = hold(candidate, wish, optimizer)
        told |= dict.fromkeys(pair, chosen.describe())
        if isinstance(chosen, SubspaceHold):
            retracted.append(chosen)
        else:
            holds.append(chosen)
    return ([*holds, Retractions(retracted)] if retracted else holds), told


def _geometry(account: Account, named: Mapping[str, nn.Parameter]) -> Geometry:
    weight, geometry = account.site.weight, account.site.geometry
    return fitted(weight, geometry, named[weight].shape) if weight in named else geometry
