"""The directions of a layer's input that must be left alone: an orthonormal basis that grows task by task.

Shapes: D input directions, R of them protected, N samples. Source: GPM (Saha et al. 2021, eq. 5-9) for growth by
energy; DualGPM (Liang & Li 2023) for keeping the complement once more than half of the directions are protected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.subspace.factor import Factor
from lifelong.subspace.moments import Moments, of_samples, squared_norm

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
        if self._kept is None:
            kept = torch.zeros(self.size, 0, dtype=torch.float64, device=source.device)
        else:
            kept = polished(self._kept.to(source.device, torch.float64))
        if self._dual:
            # All that counts lies in the few free directions, and so in the coordinates that they give it.
            fresh, _, held = _fewest(_inside(kept, seen), seen.total - _energy(seen), energy)
        else:
            fresh, _, held = fresh_directions(kept, seen, energy)
        if fresh.shape[1] > 0:
            grown = kept @ orthogonal_complement(fresh) if self._dual else torch.cat([kept, fresh], dim=1)
            self._set(grown, seen.precision)
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

    def _set(self, kept: Tensor, precision: torch.dtype) -> None:
        """kept: of the side that was kept until now; the other one from here on, once that is the smaller."""
        self.rank = self.size - kept.shape[1] if self._dual else kept.shape[1]
        if not self._dual and self.rank > self.size // 2:
            self._dual, kept = True, orthogonal_complement(kept)
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
    fresh, values, held = _fewest(_outside(protected, seen), seen.total - _energy(seen), energy, protected.shape[1])
    if fresh.shape[1] > 0:
        # Twice is enough: the second pass removes what rounding put back into the old directions.
        fresh = torch.linalg.qr(fresh - protected @ (protected.T @ fresh)).Q
    return fresh, values, held


def _fewest(rest: Moments, missing: float, energy: float, taken: int = 0) -> tuple[Tensor, Tensor, float]:
    """As `fresh_directions`, from what is not held yet, in a space of which `taken` directions are gone already.

    missing: energy that was seen and that nothing can hold, since a sketch has lost it. Directions are of length one,
    but as orthogonal as rounding left them.
    """
    held = 1.0 - (_energy(rest) + missing) / rest.total
    source = rest.factor if rest.factor is not None else rest.covariance
    assert source is not None
    if held >= energy:
        return source.new_zeros(source.shape[1], 0), source.new_zeros(0), held
    spectrum = Spectrum.of(rest)
    gained = held + spectrum.values.cumsum(0) / rest.total
    needed = int((gained < energy).sum()) + 1
    needed = min(needed, int((spectrum.values > NOISE * rest.total).sum()), source.shape[1] - taken)
    return spectrum.directions(needed), spectrum.values[:needed], float(gained[needed - 1]) if needed else held


def _outside(protected: Tensor, seen: Moments) -> Moments:
    """What was seen, without its part in the protected directions."""
    if seen.factor is not None:
        rows = seen.factor.double()
        if protected.shape[1] > 0:
            rows = rows - (rows @ protected) @ protected.T
        return Moments(seen.total, factor=rows)
    assert seen.covariance is not None
    rest = seen.covariance.double()
    if protected.shape[1] > 0:
        rest = rest - (rest @ protected) @ protected.T
        rest = rest - protected @ (protected.T @ rest)
    return Moments(seen.total, covariance=(rest + rest.T) / 2)


def _inside(free: Tensor, seen: Moments) -> Moments:
    """What was seen of the (D, F) free directions, in the F coordinates that they give it."""
    if seen.factor is not None:
        return Moments(seen.total, factor=seen.factor.double() @ free)
    assert seen.covariance is not None
    rest = free.T @ (seen.covariance.double() @ free)
    return Moments(seen.total, covariance=(rest + rest.T) / 2)


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Squared singular values (falling), and what right singular vectors are made of: only those asked for are made.

    vectors: eigenvectors of the smaller Gram matrix; where that is the one of the rows, these take them to directions.
    """

    values: Tensor
    vectors: Tensor
    rows: Tensor | None = None

    @staticmethod
    def of(seen: Moments) -> Spectrum:
        """Raises ValueError for what is not finite."""
        if not math.isfinite(seen.total):
            raise ValueError(
                "what was seen holds NaN or infinite values; look for them in the data and the activations."
            )
        rows, gram = None, seen.covariance
        if seen.factor is not None:
            factor = seen.factor.double()
            if factor.shape[0] < factor.shape[1]:
                rows, gram = factor, factor @ factor.T
            else:
                gram = factor.T @ factor
        assert gram is not None
        values, vectors = torch.linalg.eigh(gram.double())
        return Spectrum(values.flip(0).clamp_min(0), vectors.flip(1), rows)

    def directions(self, count: int) -> Tensor:
        """(D, count) leading right singular vectors."""
        vectors = self.vectors[:, :count]
        if self.rows is None:
            return vectors
        return self.rows.T @ vectors / self.values[:count].sqrt().clamp_min(1e-150)


def leading(seen: Moments) -> tuple[Tensor, Tensor]:
    """Squared singular values (falling) and right singular vectors (D, K), by the smaller Gram matrix.

    Raises ValueError for what is not finite.
    """
    spectrum = Spectrum.of(seen)
    return spectrum.values, spectrum.directions(len(spectrum.values))


def polished(columns: Tensor) -> Tensor:
    """Nearly orthonormal columns, as single precision keeps them, as orthonormal as float64 can have them.

    Without this, rounding adds up to more than a grown basis may drift, once thousands of directions are kept.
    """
    # One Newton step towards the nearest orthonormal columns: an error of 1e-7 is squared.
    half = torch.eye(columns.shape[1], dtype=columns.dtype, device=columns.device) * 1.5
    return columns @ (half - 0.5 * (columns.T @ columns))


def orthogonal_complement(directions: Tensor) -> Tensor:
    """(D, R) independent -> (D, D - R) orthonormal, spanning everything else."""
    wide = directions.to(torch.float64)
    rest: Tensor = torch.linalg.qr(wide, mode="complete").Q[:, wide.shape[1] :]
    return rest.to(directions.dtype)


def _energy(seen: Moments) -> float:
    if seen.factor is not None:
        return squared_norm(seen.factor)
    assert seen.covariance is not None
    return float(seen.covariance.diagonal().sum())
