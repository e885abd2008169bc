"""What a step of a weight may not do, as thin matrices: never a dense D x D projector.

Shapes: a weight is seen as G matrices of O outputs by D inputs (G = 1 but for grouped layers); a factor has K columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

WEAKEST = 1e-7
"""A direction that is let through by less than this counts as shut: single precision knows no less."""


@dataclass(frozen=True, slots=True)
class Factor:
    """Columns F, (G, D, K): x -> x - (x F) F^T; or x -> (x F) F^T where F spans the complement of what is protected.

    hard: F is orthonormal (up to columns of zeros), so that the map is a projection; else it only weakens directions.
    """

    columns: Tensor
    complement: bool = False
    hard: bool = True

    def permit(self, rows: Tensor) -> Tensor:
        """(G, N, D) -> the permitted part of each row."""
        if self.columns.shape[2] == 0:
            return torch.zeros_like(rows) if self.complement else rows
        columns = self.columns.to(rows.dtype)
        inside = rows @ columns @ columns.transpose(1, 2)
        return inside if self.complement else rows - inside

    @property
    def permits_nothing(self) -> bool:
        return self.complement and self.columns.shape[2] == 0


class Coordinates(Protocol):
    """Other coordinates of a movement of a weight: `start` of theta, gradients pulled back to it, and what it means."""

    def start(self, anchor: Tensor) -> Tensor:
        """theta with which to begin, of two or three dimensions; anchor: (G, O, D), what it moves away from."""
        ...

    def pull(self, theta: Tensor, gradient: Tensor) -> Tensor:
        """(G, O, D) gradient of the weight -> gradient of theta, and of any penalty on it."""
        ...

    def movement(self, theta: Tensor, outputs: int) -> Tensor:
        """theta -> (G, O, D) movement."""
        ...

    def describe(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Movements A C^T in the span of fixed columns C, (G, D, K); theta is A, (O, K) or (G, O, K)."""

    columns: Tensor

    def start(self, anchor: Tensor) -> Tensor:
        groups, outputs, width = len(anchor), anchor.shape[1], self.columns.shape[2]
        # Two dimensions where possible: some optimizers treat matrices in their own way.
        return anchor.new_zeros((outputs, width) if groups == 1 else (groups, outputs, width))

    def pull(self, theta: Tensor, gradient: Tensor) -> Tensor:
        return (gradient @ self.columns.to(gradient)).reshape(theta.shape)

    def movement(self, theta: Tensor, outputs: int) -> Tensor:
        groups, _, width = self.columns.shape
        return theta.reshape(groups, outputs, width) @ self.columns.to(theta).transpose(1, 2)

    def describe(self) -> str:
        return f"{self.columns.shape[2]} coordinates"


@dataclass(frozen=True, slots=True)
class Projection:
    """Which part of a (G, O, D) step is permitted.

    right: for directions of the input, over D (or D + 1: the last one is a bias's constant input); left: for
    directions of the output, over O; rows: (O,) of booleans, outputs whose weights must not move at all. coordinates:
    those in which a method wants the weight to be trained, instead of all the others.
    """

    right: Factor | None = None
    left: Factor | None = None
    rows: Tensor | None = None
    coordinates: Coordinates | None = None

    def permit(self, step: Tensor) -> Tensor:
        """(G, O, D) -> the permitted part of the step."""
        if self.right is not None:
            step = self.right.permit(step)
        if self.left is not None:
            step = self.left.permit(step.transpose(1, 2)).transpose(1, 2)
        if self.rows is not None:
            step = torch.where(self.rows[:, None], 0.0, step)
        return step

    @property
    def hard(self) -> bool:
        """Whether permitting twice is permitting once, so that a long movement can be judged as a whole."""
        return all(f is None or f.hard for f in (self.right, self.left))


def weighted(directions: Tensor, weights: Tensor, thinner: bool = True) -> Factor:
    """x -> x - x U diag(weights) U^T, as the thinner of two factors; U: (D, R) orthonormal, weights: (R,) in [0, 1].

    The other one is of what is left: all other directions, and U itself by 1 - weights. Without `thinner` it is always
    the first, as the groups of one layer must all be of one kind.
    """
    size, rank = directions.shape
    left = 1.0 - weights
    partly = left > WEAKEST
    if not thinner or rank <= size - rank + int(partly.sum()):
        return Factor((directions * weights.sqrt())[None], hard=bool((~partly).all()))
    others = torch.linalg.qr(directions.double(), mode="complete").Q[:, rank:].to(directions)
    columns = torch.cat([others, directions[:, partly] * left[partly].sqrt()], dim=1)
    return Factor(columns[None], complement=True, hard=bool((~partly).all()))


def free_columns(factor: Factor) -> Tensor:
    """(G, D, K) columns that span what a hard factor leaves free."""
    if factor.complement:
        return factor.columns
    return torch.stack([_complement(columns) for columns in factor.columns])


def _complement(columns: Tensor) -> Tensor:
    # Columns of zeros, which fill up narrower groups, protect nothing.
    kept = columns[:, columns.square().sum(0) > 0.5]
    free = torch.linalg.qr(kept.double(), mode="complete").Q[:, kept.shape[1] :]
    return torch.nn.functional.pad(free, (0, columns.shape[1] - kept.shape[1])).to(columns)


def pack(factors: list[Factor]) -> Factor:
    """One factor for the groups of a layer, from one (1, D, K) factor for each; narrow ones are padded with zeros."""
    if len(factors) == 1:
        return factors[0]
    if len({f.complement for f in factors}) > 1:
        raise ValueError("Factors of one layer must all be of protected directions, or all of free ones.")
    width = max(f.columns.shape[2] for f in factors)
    padded = [torch.nn.functional.pad(f.columns, (0, width - f.columns.shape[2])) for f in factors]
    return Factor(torch.cat(padded), factors[0].complement, all(f.hard for f in factors))
