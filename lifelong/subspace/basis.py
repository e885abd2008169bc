"""The directions of a layer's input that must be left alone: an orthonormal basis that grows task by task.

Shapes: D input directions, R of them protected, N samples. Source: GPM (Saha et al. 2021, eq. 5-9) for growth by
energy; DualGPM (Liang & Li 2023) for keeping the complement once more than half of the directions are protected.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Basis:
    """Protected directions, kept as the smaller of the subspace and its complement."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"A basis needs at least one direction, got size={size}.")
        self.size, self.rank = size, 0
        self._kept: Tensor | None = None  # (D, R) protected, or (D, D - R) free directions when `_dual`
        self._dual = False

    def remove(self, rows: Tensor) -> Tensor:
        """(..., D) -> the part of each row that lies outside the protected directions."""
        if self._kept is None:
            return rows
        if self.rank == self.size:
            return torch.zeros_like(rows)
        inside = (rows @ self._kept) @ self._kept.T
        return inside if self._dual else rows - inside

    @torch.no_grad()
    def grow(self, samples: Tensor, energy: float) -> float:
        """Protect the fewest new directions that hold `energy` of the samples' squared norm together with the old ones.

        samples: (N, D). Returns the share that is held now. Work is O(min(N, D)^3): the smaller Gram matrix is used.
        """
        rows = samples.to(torch.float64)
        total = float(rows.square().sum())
        if total == 0.0 or self.rank == self.size:
            return 1.0
        protected = self.directions().to(rows)
        rest = rows - (rows @ protected) @ protected.T
        held = 1.0 - float(rest.square().sum()) / total
        if held >= energy:
            return held
        values, vectors = _leading(rest)
        gained = held + values.cumsum(0) / total
        needed = int((gained < energy).sum()) + 1
        # Directions that are rounding noise would not be orthogonal to anything: take none of those.
        needed = min(needed, int((values > 1e-12 * total).sum()), self.size - self.rank)
        if needed == 0:
            return held
        self._set(torch.linalg.qr(torch.cat([protected, vectors[:, :needed]], dim=1)).Q, samples)
        return float(gained[needed - 1])

    def directions(self) -> Tensor:
        """(D, R) orthonormal protected directions."""
        if self._kept is None:
            return torch.zeros(self.size, 0)
        return _complement(self._kept) if self._dual else self._kept

    def _set(self, directions: Tensor, like: Tensor) -> None:
        self.rank = directions.shape[1]
        self._dual = self.rank > self.size // 2
        kept = _complement(directions) if self._dual else directions
        drift = (kept.T @ kept - torch.eye(kept.shape[1], dtype=kept.dtype, device=kept.device)).norm()
        assert float(drift) < 1e-6, "a grown basis must stay orthonormal"
        self._kept = kept.to(like.dtype)

    def state_dict(self) -> dict[str, Any]:
        return {"size": self.size, "rank": self.rank, "dual": self._dual, "kept": self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.size, self.rank, self._dual, self._kept = state["size"], state["rank"], state["dual"], state["kept"]


def _leading(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Squared singular values (falling) and right singular vectors (D, K) of (N, D), by the smaller Gram matrix."""
    n, d = rows.shape
    if n < d:
        values, left = torch.linalg.eigh(rows @ rows.T)
        values, left = values.flip(0).clamp_min(0), left.flip(1)
        return values, rows.T @ left / values.sqrt().clamp_min(1e-150)
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    return values.flip(0).clamp_min(0), vectors.flip(1)


def _complement(directions: Tensor) -> Tensor:
    """(D, R) orthonormal -> (D, D - R) orthonormal, spanning everything else."""
    wide = directions.to(torch.float64)
    rest: Tensor = torch.linalg.qr(wide, mode="complete").Q[:, wide.shape[1] :]
    return rest.to(directions.dtype)
