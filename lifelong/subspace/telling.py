"""Writes the report of a protection: what is kept of every parameter, and what holds it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lifelong.subspace.ledger import Ledger
from lifelong.subspace.parametrized import Made
from lifelong.subspace.report import Kept, Report
from lifelong.subspace.subject import Subject
from lifelong.updates.attach import Handle

NOBODY = "not attached"


@dataclass(frozen=True, slots=True)
class Attached:
    """A handle, whose steps it holds, and in words how, by the names of parameters and made weights."""

    optimizer: torch.optim.Optimizer
    handle: Handle
    told: Mapping[str, str]


def report_of(subject: Subject, ledger: Ledger, method: str, attached: Sequence[Attached]) -> Report:
    """What nobody has told of is held by nobody."""
    held = {name: how for one in attached if one.handle.holds_steps for name, how in one.told.items()}
    through = {part: made for made in subject.made().values() for part in made.parts}
    rows = [_row(name, p, through.get(name), ledger, method, held) for name, p in subject.named().items()]
    return Report(tuple(rows))


def _row(name: str, p: nn.Parameter, made: Made | None, ledger: Ledger, method: str, held: Mapping[str, str]) -> Kept:
    shape = tuple(p.shape)
    if name in ledger.frozen:
        return Kept(name, shape, "frozen", ledger.frozen[name], 1, 1, held.get(name, NOBODY))
    if not p.requires_grad:
        return Kept(name, shape, "frozen", "requires_grad is False", 1, 1)
    kept_as = name if made is None else made.name
    mine = [a for a in ledger.kept() if kept_as in (a.site.weight, a.site.bias)]
    if not mine:
        return Kept(name, shape, "free", "no consolidated task has used it", 0, 1)
    tight = max(mine, key=lambda a: a.keeper.rank / a.keeper.size).keeper
    why = method + (", with its weight" if mine[0].site.bias == kept_as else "")
    why += "" if made is None else f", through {made.how}"
    return Kept(name, shape, "protected", why, tight.rank, tight.size, held.get(kept_as, NOBODY))
