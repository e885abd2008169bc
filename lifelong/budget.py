"""How many parameters all experts have together, and how many another one would add."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from lifelong.assembly import Assembly
from lifelong.experience import Batch
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.upbringing import Upbringing


class Budget:
    """The limit of an upbringing, if it has one. Of experts that become small, what will be left counts."""

    def __init__(self, upbringing: Upbringing, seed: int, device: torch.device | str) -> None:
        self._up, self._seed, self._device = upbringing, seed, device

    def has_room(self, foundations: Sequence[Foundation], experts: Sequence[Expert], batch: Batch) -> bool:
        """Whether another expert, for such batches, fits in."""
        if self._up.budget is None:
            return True
        return self._taken(foundations) + self._price(foundations, experts, batch) <= self._up.budget

    def check(self, foundations: Sequence[Foundation]) -> None:
        """Raises ValueError where what there is is too much."""
        if self._up.budget is not None and self._taken(foundations) > self._up.budget:
            raise ValueError(
                f"max_parameters is {self._up.budget:,}, but one expert alone has {self._taken(foundations):,}: raise "
                "it, take a smaller network, or let experts become small (prune)."
            )

    def _taken(self, foundations: Sequence[Foundation]) -> int:
        return sum(self._left(foundation.parameters()) for foundation in foundations)

    def _left(self, parameters: int) -> int:
        return parameters if self._up.prune is None else parameters - round(self._up.prune.share * parameters)

    def _price(self, foundations: Sequence[Foundation], experts: Sequence[Expert], batch: Batch) -> int:
        """What another expert adds at the most: found by making one, and throwing it away."""
        if self._up.share not in ("always", "adapters"):
            alone = Assembly(self._up.network, self._seed, self._device)
            alone.grow(batch.contract, "trial", batch.task)
            return self._left(sum(p.numel() for p in alone.parameters()))
        shared = copy.deepcopy(foundations[0].wake())
        before = sum(p.numel() for p in shared.parameters())
        # Who is alone on a body that is to stand still gets adapters of its own once another one comes.
        for lane in ("trial", *(expert.lane for expert in experts)):
            shared.grow(batch.contract, lane, batch.task)
        return sum(p.numel() for p in shared.parameters()) - before
