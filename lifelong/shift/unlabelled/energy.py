"""Energy distance of each batch from the reference, along random directions.

Shapes: B rows of D numbers, R rows of the reference, K directions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.chance import Chance
from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.reference import Reference
from lifelong.shift.unlabelled.standard import random_directions


class _Fitted(NamedTuple):
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
    _reference: Reference[_Fitted] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise ValueError(f"Energy needs directions >= 1, got directions={self.directions}.")
        self._reference = Reference(
            self.grace, self.rows, self._fit, lambda kept: _Fitted._make((*kept[:-1], Chance(*kept[-1])))
        )

    def observe(self, rows: Tensor) -> float | None:
        return self._reference.observe(rows, self._judge)

    def _judge(self, rows_BD: Tensor, fitted: _Fitted) -> Tensor:
        values = (rows_BD @ fitted.directions_DK).T.contiguous().sort(1).values
        count, kept = values.shape[1], fitted.sorted_KR.shape[1]
        # The distance to all numbers of a sorted sample, from how many are below and what they sum up to.
        below = torch.searchsorted(fitted.sorted_KR, values)
        sums = fitted.sums_KR.gather(1, below)
        across = (values * (2 * below - kept) + fitted.sums_KR[:, -1:] - 2.0 * sums).mean() / kept
        ranks = torch.arange(1 - count, count, 2, device=values.device, dtype=values.dtype)
        within = 2.0 * (values @ ranks).mean() / count**2
        return fitted.chance.standardise(2.0 * across - within - fitted.within, count)

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        device, axes = rows_RD.device, random_directions(rows_RD.shape[1], self.directions, self.seed)
        values = (rows_RD @ axes.to(device)).cpu().double()
        distances = torch.cdist(values, values, p=1.0) / values.shape[1]
        ordered = values.T.sort(1).values
        sums = torch.nn.functional.pad(ordered.cumsum(1), (1, 0))
        axes, ordered, sums = (part.float().to(device).contiguous() for part in (axes, ordered, sums))
        return _Fitted(axes, ordered, sums, float(distances.mean()), Chance.of(-distances, len(values)))

    def reset(self) -> None:
        self._reference.reset()

    def state_dict(self) -> dict[str, Any]:
        return self._reference.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reference.load_state_dict(state)
