"""The directions of a layer's input that must be left alone: an orthonormal basis that grows task by task.

Shapes: D input directions, R of them protected, N samples. Source: GPM (Saha et al. 2021, eq. 5-9) for growth by
energy; DualGPM (Liang & Li 2023) for keeping the complement once more than half of the directions are protected.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lifelong.subspace.factor import Factor
from lifelong.subspace.moments import Moments, of_samples

NOISE = 1e-12
"""Share of the energy below which a direction is rounding: it would not be orthogonal to anything."""


class Basis:
    """Protected directions, kept as the smaller of the subspace and its complement."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"A basis needs at least one direction, got size={size}.")
        self.size, self.rank = size, 0
        self._kept: Tensor | None = None  # (D, R) protected, or (D, D - R) free directions when `_dual`
        self._dual = False

    def factor(self, complement: bool | None = None) -> Factor:
        """What is kept, as a (1, D, K) factor; `complement` asks for one of the two forms."""
        if self._kept is None:
            kept, dual = torch.zeros(self.size, 0), False
        else:
            kept, dual = self._kept, self._dual
        if complement is not None and complement != dual:
            kept, dual = (orthogonal_complement(kept), complement)
        return Factor(kept[None], dual)

    def remove(self, rows: Tensor) -> Tensor:
        """(..., D) -> the part of each row that lies outside the protected directions."""
        if self._kept is None:
            return rows
        return self.factor().permit(rows.reshape(1, -1, self.size)).view_as(rows)

    @torch.no_grad()
    def grow(self, seen: Moments | Tensor, energy: float) -> float:
        """Protect the fewest new directions that hold `energy` of what was seen together with the old ones.

        seen: moments, or (N, D) samples. Returns the share (0..1) of the squared norm that is held now; that can be
        less than asked for where a sketch has lost some. Work is O(min(N, D)^3) for samples.
        """
        if isinstance(seen, Tensor):
            seen = of_samples(seen)
        if seen.total == 0.0 or self.rank == self.size:
            return 1.0
        source = seen.factor if seen.factor is not None else seen.covariance
        assert source is not None
        protected = self.directions().to(source.device, torch.float64)
        fresh, _, held = fresh_directions(protected, seen, energy)
        if fresh.shape[1] > 0:
            self._set(torch.cat([protected, fresh], dim=1), seen.precision)
        return held

    def directions(self) -> Tensor:
        """(D, R) orthonormal protected directions."""
        return self.factor(complement=False).columns[0]

    def widen(self, directions: Tensor) -> None:
        """Protect the span of these (D, K) directions too, whatever their length."""
        old = self.directions().to(directions.device, torch.float64)
        rest = directions.double() - old @ (old.T @ directions.double())
        precision = torch.float32 if self._kept is None else self._kept.dtype
        self.grow(Moments(float(rest.square().sum()), rest.T, None, precision), 1.0)

    def _set(self, directions: Tensor, precision: torch.dtype) -> None:
        self.rank = directions.shape[1]
        self._dual = self.rank > self.size // 2
        kept = orthogonal_complement(directions) if self._dual else directions
        drift = (kept.T @ kept - torch.eye(kept.shape[1], dtype=kept.dtype, device=kept.device)).norm()
        assert float(drift) < 1e-6, "a grown basis must stay orthonormal"
        self._kept = kept.to(precision)

    def state_dict(self) -> dict[str, Any]:
        return {"size": self.size, "rank": self.rank, "dual": self._dual, "kept": self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.size, self.rank, self._dual, self._kept = state["size"], state["rank"], state["dual"], state["kept"]


def fresh_directions(protected: Tensor, seen: Moments, energy: float) -> tuple[Tensor, Tensor, float]:
    """The fewest directions that hold `energy` of what was seen together with those that are protected already.

    protected: (D, R) orthonormal, float64. Returns (D, K) orthonormal directions outside of them, their K squared
    singular values, falling, and the share that is held then.
    """
    rest = _rest(protected, seen)
    missing = seen.total - _energy(seen)
    held = 1.0 - (_energy(rest) + missing) / seen.total
    none = protected[:, :0]
    if held >= energy:
        return none, none.sum(0), held
    values, vectors = leading(rest)
    gained = held + values.cumsum(0) / seen.total
    needed = int((gained < energy).sum()) + 1
    needed = min(needed, int((values > NOISE * seen.total).sum()), protected.shape[0] - protected.shape[1])
    if needed == 0:
        return none, none.sum(0), held
    # Twice is enough: the second pass removes what rounding put back into the old directions.
    fresh = vectors[:, :needed]
    fresh = fresh - protected @ (protected.T @ fresh)
    return torch.linalg.qr(fresh).Q, values[:needed], float(gained[needed - 1])


def _rest(protected: Tensor, seen: Moments) -> Moments:
    """What was seen, without its part in the protected directions."""
    source = seen.factor if seen.factor is not None else seen.covariance
    assert source is not None
    wide = source.double()
    rest = wide - (wide @ protected) @ protected.T
    if seen.factor is not None:
        return Moments(seen.total, factor=rest)
    rest = rest - protected @ (protected.T @ rest)
    return Moments(seen.total, covariance=(rest + rest.T) / 2)


def leading(seen: Moments) -> tuple[Tensor, Tensor]:
    """Squared singular values (falling) and right singular vectors (D, K), by the smaller Gram matrix.

    Raises ValueError for what is not finite.
    """
    if not math.isfinite(seen.total):
        raise ValueError("what was seen holds NaN or infinite values; look for them in the data and the activations.")
    if seen.factor is not None and seen.factor.shape[0] < seen.factor.shape[1]:
        rows = seen.factor.double()
        values, left = torch.linalg.eigh(rows @ rows.T)
        values, left = values.flip(0).clamp_min(0), left.flip(1)
        return values, rows.T @ left / values.sqrt().clamp_min(1e-150)
    if seen.factor is not None:
        covariance = seen.factor.double().T @ seen.factor.double()
    else:
        assert seen.covariance is not None
        covariance = seen.covariance.double()
    values, vectors = torch.linalg.eigh(covariance)
    return values.flip(0).clamp_min(0), vectors.flip(1)


def orthogonal_complement(directions: Tensor) -> Tensor:
    """(D, R) orthonormal -> (D, D - R) orthonormal, spanning everything else."""
    wide = directions.to(torch.float64)
    rest: Tensor = torch.linalg.qr(wide, mode="complete").Q[:, wide.shape[1] :]
    return rest.to(directions.dtype)


def _energy(seen: Moments) -> float:
    if seen.factor is not None:
        return float(seen.factor.double().square().sum())
    assert seen.covariance is not None
    return float(seen.covariance.diagonal().sum())
