"""Maximum mean discrepancy of each batch from the reference, with random Fourier features.

Shapes: B rows of D numbers, R rows of the reference, F frequencies, each of them a cosine and a sine.
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
from lifelong.shift.unlabelled.standard import Standard, flat, strangeness

_FOR_MOMENTS = 512
"""Reference rows that bandwidth and moments are taken from: their kernel is a matrix."""


class _Fitted(NamedTuple):
    centre: Tensor
    inverse: Tensor
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
    _gathering: Gathering = field(init=False, repr=False)
    _fitted: _Fitted | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.frequencies < 1:
            raise ValueError(f"Mmd needs frequencies >= 1, got frequencies={self.frequencies}.")
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
        angles = Standard(fitted.centre, fitted.inverse)(rows) @ fitted.frequencies_DF
        cosines, sines = angles.cos().mean(0) - fitted.cosines_F, angles.sin().mean(0) - fitted.sines_F
        distance = (cosines.dot(cosines) + sines.dot(sines)) / self.frequencies
        return strangeness(fitted.chance.standardise(distance, len(rows)), rows)

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        standard = Standard.of(rows_RD)
        rows = standard(rows_RD).cpu().double()
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
        return _Fitted._make((*standard, *made, chance))

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
