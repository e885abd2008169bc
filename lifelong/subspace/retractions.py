"""All weights of a model whose movement is retracted: those that are alike together, where that takes less time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.subspace.alike import AlikeHold, kind
from lifelong.subspace.cost import FEWEST, Machine, joins
from lifelong.subspace.holds import SubspaceHold

MOST = 2**25
"""Weights (in all) that are retracted together: beyond, launches cost nothing any more, and copies much memory."""


class Retractions:
    """Works as its holds would, one after the other, and has the same state however they were put together."""

    def __init__(self, holds: Sequence[SubspaceHold]) -> None:
        self._units: list[tuple[list[int], SubspaceHold | AlikeHold]] = []
        for places in _together(holds):
            members = [holds[i] for i in places]
            self._units.append((places, members[0] if len(members) == 1 else AlikeHold(members)))

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        for _, unit in self._units:
            unit.before(optimizer)

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        for _, unit in self._units:
            unit.after(optimizer)

    def sync(self) -> None:
        for _, unit in self._units:
            unit.sync()

    def rebase(self) -> None:
        for _, unit in self._units:
            unit.rebase()

    def rewound(self) -> None:
        for _, unit in self._units:
            unit.rewound()

    def tensors(self) -> list[Tensor]:
        return [t for _, unit in self._units for t in unit.tensors()]

    def state_dict(self) -> dict[str, Any]:
        found: dict[int, dict[str, Any]] = {}
        for places, unit in self._units:
            states = unit.states() if isinstance(unit, AlikeHold) else [unit.state_dict()]
            found.update(zip(places, states, strict=True))
        return {"holds": [found[i] for i in range(len(found))]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for places, unit in self._units:
            states = [state["holds"][i] for i in places]
            if isinstance(unit, AlikeHold):
                unit.restore(states)
            else:
                unit.load_state_dict(states[0])

    def describe(self) -> str:
        return "; ".join(unit.describe() for _, unit in self._units)

    def release(self) -> None:
        for _, unit in self._units:
            unit.release()


def _together(holds: Sequence[SubspaceHold]) -> list[list[int]]:
    """Numbers of the holds that are together, each in one list, in the order of their first."""
    kinds: dict[object, list[int]] = {}
    for i, hold in enumerate(holds):
        common = kind(hold)
        kinds.setdefault(i if common is None else common, []).append(i)
    found: list[list[int]] = []
    for members in kinds.values():
        groups: list[list[int]] = []
        # The widest first: the others of its group are filled up to its width.
        for i in sorted(members, key=lambda i: -_width(holds[i])):
            if groups and _has_room(holds, groups[-1], i):
                groups[-1].append(i)
            else:
                groups.append([i])
        for group in groups:
            found += [sorted(group)] if len(group) >= FEWEST else [[i] for i in group]
    return sorted(found)


def _has_room(holds: Sequence[SubspaceHold], group: Sequence[int], new: int) -> bool:
    size, machine = holds[new].weight.numel(), Machine.of(holds[new].weight.device)
    widest = _width(holds[group[0]])
    return (len(group) + 1) * size <= MOST and joins(size, _width(holds[new]), widest, machine)


def _width(hold: SubspaceHold) -> int:
    right = hold.views[0].projection.right
    return 0 if right is None else right.columns.shape[2]
