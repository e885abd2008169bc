"""What tasks want added to weights that they share: kept by task, put on to judge one of them, taken off to go on.

For methods that need the task at judging (TRGP). Shapes: a weight is G matrices of (O, D), its bias one more column; a
correction is left (G, O, K) times right (G, D, K) transposed, so it costs no more than its rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lifelong.subspace.method import Keeper, Site


@dataclass(frozen=True, slots=True)
class Correction:
    """left (G, O, K), right (G, D, K); with a bias D counts its constant input."""

    left: Tensor
    right: Tensor

    @torch.no_grad()
    def add(self, site: Site, named: Mapping[str, nn.Parameter], sign: float) -> None:
        """Add it to a weight and its bias, or take it off."""
        weight = named[site.weight]
        moved = sign * (self.left.to(weight) @ self.right.to(weight).transpose(1, 2))
        if site.bias is not None:
            bias = named[site.bias]
            bias.add_(moved[:, :, -1].reshape(bias.shape))
            moved = moved[:, :, :-1]
        weight.add_(site.geometry.tensor(moved, weight))


@runtime_checkable
class PerTask(Protocol):
    """A keeper whose weight differs from task to task by a correction."""

    def worn(self) -> Correction | None:
        """What the weight holds now for the task at hand alone."""
        ...

    def undressed(self) -> None:
        """That was taken off."""
        ...


class Wearer(Protocol):
    """What is kept of a weight, as an account has it."""

    @property
    def site(self) -> Site: ...

    @property
    def keeper(self) -> Keeper: ...


class Corrections:
    """The corrections of every task that was consolidated, in their order; empty ones for methods without any."""

    def __init__(self) -> None:
        self._tasks: list[dict[str, Correction]] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def record(self, wearers: Sequence[Wearer]) -> None:
        """A task has ended."""
        self._tasks.append({w.site.weight: worn for w, worn in _wearing(wearers)})

    def strip(self, wearers: Sequence[Wearer], named: Mapping[str, nn.Parameter]) -> None:
        """Leave in the weights what all tasks share."""
        for wearer, worn in _wearing(wearers):
            worn.add(wearer.site, named, -1.0)
            assert isinstance(wearer.keeper, PerTask)
            wearer.keeper.undressed()

    @contextmanager
    def of(self, task: int, wearers: Sequence[Wearer], named: Mapping[str, nn.Parameter]) -> Iterator[None]:
        """Inside, the weights are those of this task; afterwards what they were, to the bit."""
        mine = self._tasks[task]
        sites = [w.site for w in wearers if isinstance(w.keeper, PerTask)]
        touched = {name for s in sites for name in (s.weight, s.bias) if name is not None and name in named}
        before = {name: named[name].detach().clone() for name in touched}
        try:
            for wearer, worn in _wearing(wearers):
                worn.add(wearer.site, named, -1.0)
            for site in sites:
                if site.weight in mine:
                    mine[site.weight].add(site, named, 1.0)
            yield
        finally:
            with torch.no_grad():
                for name, value in before.items():
                    named[name].copy_(value)

    def state_dict(self) -> list[dict[str, Any]]:
        return [{name: (c.left, c.right) for name, c in task.items()} for task in self._tasks]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        self._tasks = [{name: Correction(*pair) for name, pair in task.items()} for task in state]


def _wearing(wearers: Sequence[Wearer]) -> Iterator[tuple[Wearer, Correction]]:
    for wearer in wearers:
        worn = wearer.keeper.worn() if isinstance(wearer.keeper, PerTask) else None
        if worn is not None:
            yield wearer, worn
