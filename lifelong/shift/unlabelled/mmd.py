"""Maximum mean discrepancy of each batch from the reference, with random Fourier features.

Shapes: B rows of D numbers, R rows of the reference, F frequencies, each of them a cosine and a sine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.chance import Chance
from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.reference import Reference

_FOR_MOMENTS = 512
"""Reference rows that bandwidth and moments are taken from: their kernel is a matrix."""


class _Fitted(NamedTuple):
    frequencies_DF: Tensor
    cosines_F: Tensor
    sines_F: Tensor
    chance: Chance


@dataclass(slots=True, eq=False)
class Mmd:
    """Distance of means under a Gaussian kernel, in deviations of chance: sees what moves many rows.

    frequencies: of the random features; more come closer to the exact kernel. grace: batches that the reference is made
    of; it is frozen afterwards, so that slow drift is not absorbed. rows: of those that are kept at most until then.
    seed: of the frequencies.

    Values are about 0 with deviation 1 in the reference's world, for batches of any size (see `chance`). The bandwidth
    is the median distance of reference rows. What it cannot see: a change of labels alone; one that moves few rows of a
    batch, or a few of many inputs. Cost: a product of B x D by D x F a batch, memory D x F once the grace is over.
    Sources: Gretton et al., A Kernel Two-Sample Test (JMLR 2012); Rahimi and Recht, Random Features for Large-Scale
    Kernel Machines (2007), section 3, in the variant with a cosine and a sine for each frequency.
    """

    frequencies: int = 128
    grace: int = 20
    rows: int = 1024
    sight: Sight = "inputs"
    seed: int = 0
    _reference: Reference[_Fitted] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.frequencies < 1:
            raise ValueError(f"Mmd needs frequencies >= 1, got frequencies={self.frequencies}.")
        self._reference = Reference(
            self.grace, self.rows, self._fit, lambda kept: _Fitted._make((*kept[:-1], Chance(*kept[-1])))
        )

    def observe(self, rows: Tensor) -> float | None:
        return self._reference.observe(rows, self._judge)

    def _judge(self, rows_BD: Tensor, fitted: _Fitted) -> Tensor:
        angles = rows_BD @ fitted.frequencies_DF
        cosines, sines = angles.cos().mean(0) - fitted.cosines_F, angles.sin().mean(0) - fitted.sines_F
        distance = (cosines.dot(cosines) + sines.dot(sines)) / self.frequencies
        return fitted.chance.standardise(distance, len(rows_BD))

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        rows = rows_RD.cpu().double()
        some = rows[torch.arange(min(len(rows), _FOR_MOMENTS)) * len(rows) // min(len(rows), _FOR_MOMENTS)]
        distances = torch.pdist(some)
        # More than half of the rows may be one and the same, or all.
        bandwidth = next((float(d) for d in (distances.median(), distances.mean()) if d > 0), 1.0)
        draw = torch.Generator().manual_seed(self.seed)
        frequencies = torch.randn(rows.shape[1], self.frequencies, generator=draw, dtype=torch.float64) / bandwidth
        cosines, sines = (rows @ frequencies).cos(), (rows @ frequencies).sin()
        features = torch.cat([(some @ frequencies).cos(), (some @ frequencies).sin()], dim=1)
        chance = Chance.of(features @ features.T / self.frequencies, len(rows))
        made = (part.float().to(rows_RD.device) for part in (frequencies, cosines.mean(0), sines.mean(0)))
        return _Fitted._make((*made, chance))

    def reset(self) -> None:
        self._reference.reset()

    def state_dict(self) -> dict[str, Any]:
        return self._reference.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reference.load_state_dict(state)
