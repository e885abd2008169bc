"""Holds a weight that is made from other parameters, by setting it to what it may be.

A stand-in takes the made weight's place: it is brought up to date, held to its projection as any weight is, and what
comes out is what the parameters behind it are set to. So the made weight is exact after every sync, for any optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.subspace.holds import SubspaceHold, View
from lifelong.subspace.parametrized import Made, is_close
from lifelong.updates.hold import Guard, Hold, RuleHold, freeze


def hold_made(
    pair: Sequence[Made | nn.Parameter], views: Sequence[View], moved: Mapping[str, nn.Parameter], every: int
) -> list[Hold]:
    """The hold of a weight and its bias, if it has one, where either is made; `moved`: what the optimizer moves."""
    moving = {id(p) for p in moved.values() if p.requires_grad}
    behind = [p for member in pair for p in (member.parts.values() if isinstance(member, Made) else (member,))]
    mine = tuple(p for p in behind if id(p) in moving)
    if not mine:
        return []
    written = [t for member in pair for t in (member.originals if isinstance(member, Made) else (member,))]
    if any(id(t) not in moving for t in written):
        # What another optimizer moves, or nobody, is not to be set here.
        return [RuleHold(Guard(mine, freeze, projects=True))]
    return [MadeHold(pair, views, every)]


class MadeHold:
    """Every `every` steps, sets what is made to the part of its movement that its projections permit."""

    def __init__(self, pair: Sequence[Made | nn.Parameter], views: Sequence[View], every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}.")
        self._every, self._waiting = every, 0
        members = [nn.Parameter(m.value().clone(), requires_grad=False) if isinstance(m, Made) else m for m in pair]
        self._made = [(m, stand_in) for m, stand_in in zip(pair, members, strict=True) if isinstance(m, Made)]
        self._inner = SubspaceHold(members[0], members[1] if len(members) > 1 else None, views)
        self._errors: dict[str, Tensor] = {}

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        pass

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        self._waiting += 1
        if self._waiting >= self._every:
            self._judge()

    def sync(self) -> None:
        if self._waiting:
            self._judge()
        self._check()

    def _judge(self) -> None:
        self._waiting = 0
        self._look()
        self._inner.judge()
        for made, stand_in in self._made:
            error = made.put(stand_in.detach())
            worst = self._errors.get(made.name)
            self._errors[made.name] = error if worst is None else torch.maximum(worst, error)

    def _check(self) -> None:
        """Not at every step: to look at a number, the host has to wait for the device."""
        errors, self._errors = self._errors, {}
        for made, _ in self._made:
            if made.name in errors and not is_close(errors[made.name]):
                raise RuntimeError(
                    f"{made.name} cannot be held: its {made.how} did not make the weight that its right_inverse was "
                    "given. Freeze its parameters (requires_grad_(False)), or leave the parametrization out."
                )

    @torch.no_grad()
    def _look(self) -> None:
        for made, stand_in in self._made:
            stand_in.copy_(made.value())

    def rebase(self) -> None:
        self._look()
        self._inner.rebase()
        self._waiting = 0

    def rewound(self) -> None:
        self._waiting = 0

    def tensors(self) -> list[Tensor]:
        parts = [p.detach() for made, _ in self._made for p in made.parts.values()]
        return [*parts, *self._inner.tensors()]

    def state_dict(self) -> dict[str, Any]:
        return {**self._inner.state_dict(), "waiting": self._waiting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.load_state_dict({**state, "waiting": 0})
        self._waiting = state["waiting"]

    def describe(self) -> str:
        return f"project every {self._every}, through {' and '.join(made.how for made, _ in self._made)}"

    def release(self) -> None:
        self.sync()
