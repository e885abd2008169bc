"""Energy distance of each batch from the reference, along random directions.

Shapes: B rows of D numbers, R rows of the reference, K directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.chance import Chance
from lifelong.shift.unlabelled.gathering import Gathering
from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.standard import Standard, flat, random_directions, strangeness


class _Fitted(NamedTuple):
    centre: Tensor
    inverse: Tensor
    directions_DK: Tensor
    sorted_KR: Tensor
    sums_KR: Tensor
    within: float
    chance: Chance


@dataclass(slots=True, eq=False)
class Energy:
    """Energy distance averaged over random directions, in deviations of chance: as Mmd, without a bandwidth.

    directions: that rows are projected on, the axes themselves where these are not more. grace: batches that the
    reference sample is taken from; it is frozen afterwards. rows: of that sample at most. seed: of the directions.

    Values are about 0 with deviation 1 in the reference's world, for batches of any size (see `chance`). What it cannot
    see: a change of labels alone; a change in few of many inputs, which is thin in every random direction; and it is
    slower to see a change of shape than one of position. Cost: B x K searches in R sorted numbers a batch.
    Sources: Szekely and Rizzo, Energy Statistics (2013), with the kernel of Sejdinovic et al.,
    Equivalence of Distance-Based and RKHS-Based Statistics (Annals of Statistics 2013).
    """

    directions: int = 32
    grace: int = 20
    rows: int = 512
    sight: Sight = "inputs"
    seed: int = 0
    _gathering: Gathering = field(init=False, repr=False)
    _fitted: _Fitted | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise ValueError(f"Energy needs directions >= 1, got directions={self.directions}.")
        self._gathering = Gathering(self.grace, self.rows)

    def observe(self, rows: Tensor) -> float | None:
        rows = flat(rows)
        if self._fitted is None:
            gathered = self._gathering.take(rows)
            self._fitted = None if gathered is None else self._fit(gathered)
            return None
        fitted = self._fitted
        if rows.shape[1] != len(fitted.centre):
            return math.inf
        projected = Standard(fitted.centre, fitted.inverse)(rows) @ fitted.directions_DK
        values = projected.T.contiguous().sort(1).values
        count, kept = values.shape[1], fitted.sorted_KR.shape[1]
        # The distance to all numbers of a sorted sample, from how many are below and what they sum up to.
        below = torch.searchsorted(fitted.sorted_KR, values)
        sums = fitted.sums_KR.gather(1, below)
        across = (values * (2 * below - kept) + fitted.sums_KR[:, -1:] - 2.0 * sums).mean() / kept
        ranks = torch.arange(1 - count, count, 2, device=values.device, dtype=values.dtype)
        within = 2.0 * (values @ ranks).mean() / count**2
        distance = 2.0 * across - within - fitted.within
        return strangeness(fitted.chance.standardise(distance, count), rows)

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        standard, device = Standard.of(rows_RD), rows_RD.device
        axes = random_directions(rows_RD.shape[1], self.directions, self.seed)
        values = (standard(rows_RD) @ axes.to(device)).cpu().double()
        distances = torch.cdist(values, values, p=1.0) / values.shape[1]
        ordered = values.T.sort(1).values
        sums = torch.nn.functional.pad(ordered.cumsum(1), (1, 0))
        made = (part.float().to(device).contiguous() for part in (axes, ordered, sums))
        chance = Chance.of(-distances, len(values))
        return _Fitted._make((*standard, *made, float(distances.mean()), chance))

    def reset(self) -> None:
        self._gathering.reset()
        self._fitted = None

    def state_dict(self) -> dict[str, Any]:
        fitted = None if self._fitted is None else (*self._fitted[:-1], tuple(self._fitted.chance))
        return {"gathering": self._gathering.state_dict(), "fitted": fitted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._gathering.load_state_dict(state["gathering"])
        fitted = state["fitted"]
        self._fitted = None if fitted is None else _Fitted._make((*fitted[:-1], Chance(*fitted[-1])))
