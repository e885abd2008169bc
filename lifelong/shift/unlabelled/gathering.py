"""The grace of a measure: the first rows of a world, kept until a reference has been made of them.

Shapes: B rows of a batch, D numbers each, R rows of the reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

LEAST_ROWS = 16
"""Rows that a reference needs at least; batches that are too small or broken prolong the grace."""

MOST_NUMBERS = 2**24
"""Numbers that are kept at most (64 MiB of float32): of very wide rows, fewer are kept than was asked for."""


@dataclass(slots=True, eq=False)
class Gathering:
    """Keeps up to `rows` rows of the first `grace` batches, as many of each, and leaves out what is not finite."""

    grace: int
    rows: int
    _batches: int = field(default=0, init=False)
    _kept: list[Tensor] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.grace < 1 or self.rows < LEAST_ROWS:
            raise ValueError(
                f"The reference of a measure needs grace >= 1 (batches) and rows >= {LEAST_ROWS}, "
                f"got grace={self.grace}, rows={self.rows}."
            )

    def take(self, rows_BD: Tensor) -> Tensor | None:
        """The next batch of the grace -> (R, D), the reference rows, once there are enough; None before."""
        good = rows_BD[torch.isfinite(rows_BD).all(1)]
        if not len(good):
            return None
        if self._kept and self._kept[0].shape[1] != good.shape[1]:
            # Rows of another width are of another world: nothing that was gathered before says anything of it.
            self.reset()
        most = max(LEAST_ROWS, min(self.rows, MOST_NUMBERS // good.shape[1]))
        share = -(-most // self.grace)
        if len(good) > share:
            # Spread over the batch, in case it is sorted.
            good = good[torch.arange(share, device=good.device) * len(good) // share]
        self._kept.append(good)
        self._batches += 1
        if self._batches < self.grace or sum(map(len, self._kept)) < LEAST_ROWS:
            return None
        gathered = torch.cat(self._kept)
        self.reset()
        return gathered

    def reset(self) -> None:
        self._batches, self._kept = 0, []

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._batches, "kept": list(self._kept)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._batches, self._kept = state["batches"], list(state["kept"])
