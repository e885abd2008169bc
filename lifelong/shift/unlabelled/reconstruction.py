"""How badly the reference's principal directions explain each batch.

Shapes: B rows of D numbers, R rows of the reference, K directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lifelong.shift.unlabelled.measure import Sight
from lifelong.shift.unlabelled.reference import Reference

_LEAST = 1e-3
"""The least deviation of the error, in squared deviations of one number: where nothing is left, rounding is no news."""


class _Fitted(NamedTuple):
    directions_DK: Tensor
    rows: int
    mean: float
    deviation: float


@dataclass(slots=True, eq=False)
class Reconstruction:
    """Error of projecting on the reference's principal directions: sees inputs that leave the reference's subspace.

    share: of the variance that the directions explain. most: directions at most. grace: batches that the reference is
    made of; one half of their rows gives the directions, the other the error that is normal. rows: of these that are
    kept at most. Values are the error in standard errors above that of the held-out rows.

    What it sees is inputs that leave the subspace of the reference, and rows larger than before. What it cannot see: a
    change of labels alone; one within that subspace, such as classes that become more frequent or inputs that become
    simpler, because only a rise counts; with few independent features, anything much.
    Cost: a product, B x D by D x K.
    Source: Jackson and Mudholkar, Control Procedures for Residuals Associated with Principal Component Analysis
    (Technometrics 1979), with the moments of held-out rows in the place of their approximation.
    """

    share: float = 0.9
    most: int = 64
    grace: int = 20
    rows: int = 1024
    sight: Sight = "inputs"
    _reference: Reference[_Fitted] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0 or self.most < 1:
            raise ValueError(
                f"Reconstruction needs 0 < share <= 1 and most >= 1, got share={self.share}, most={self.most}."
            )
        self._reference = Reference(self.grace, self.rows, self._fit, lambda kept: _Fitted(*kept))

    def observe(self, rows: Tensor) -> float | None:
        return self._reference.observe(rows, self._judge)

    def _judge(self, rows_BD: Tensor, fitted: _Fitted) -> Tensor:
        chance = fitted.deviation * math.sqrt(1.0 / len(rows_BD) + 1.0 / fitted.rows)
        return (_errors(rows_BD, fitted.directions_DK).mean() - fitted.mean) / chance

    def _fit(self, rows_RD: Tensor) -> _Fitted:
        explained, held_out = rows_RD[0::2].cpu().double(), rows_RD[1::2]
        _, sizes, axes = torch.linalg.svd(explained, full_matrices=False)
        energy = sizes.square().cumsum(0)
        wanted = int((energy < self.share * energy[-1]).sum()) + 1
        # One direction is left to be unexplained: an error that is always zero says nothing.
        count = min(wanted, self.most, len(sizes) - 1)
        directions = axes[:count].T.to(rows_RD)
        errors = _errors(held_out, directions).cpu().double()
        return _Fitted(directions, len(errors), float(errors.mean()), max(float(errors.std()), _LEAST))

    def reset(self) -> None:
        self._reference.reset()

    def state_dict(self) -> dict[str, Any]:
        return self._reference.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reference.load_state_dict(state)


def _errors(rows_BD: Tensor, directions_DK: Tensor) -> Tensor:
    """(B,) squared lengths of what orthonormal directions leave of standardised rows."""
    return rows_BD.square().sum(1) - (rows_BD @ directions_DK).square().sum(1)
