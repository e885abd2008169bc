"""What is known of the inputs of a layer: some of its rows, their second moments, or a sketch of them.

Shapes: G groups of a layer, N rows, D input directions. Squares are made and kept in float64: in float32
directions below 3e-4 of the largest would be noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """The second moments of one group's rows, as `factor` (M, D) with factor^T factor = C, or as C (D, D) itself.

    total: the squared norm of everything that was seen; a sketch holds less than that. precision: of what was seen.
    """

    total: float
    factor: Tensor | None = None
    covariance: Tensor | None = None
    precision: torch.dtype = torch.float32


def of_samples(samples: Tensor) -> Moments:
    """(N, D) samples as the moments that they are."""
    precision = torch.float64 if samples.dtype == torch.float64 else torch.float32
    return Moments(squared_norm(samples), samples, None, precision)


def squared_norm(values: Tensor) -> float:
    """The sum of squares, in float64 whatever the precision of the values."""
    return float(torch.linalg.vector_norm(values, dtype=torch.float64).square())


class Collector(Protocol):
    """Takes rows in, gives moments out."""

    def add(self, rows: Tensor) -> None:
        """rows: (G, N, D)."""
        ...

    def moments(self) -> list[Moments]:
        """One for each group."""
        ...


class Rows:
    """All rows as they are: exact, for as many as fit."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def __len__(self) -> int:
        return sum(part.shape[1] for part in self._parts)

    def add(self, rows: Tensor) -> None:
        # Rows may be a view of activations, which the model is free to change in place after the call.
        self._parts.append(rows.clone())

    def all(self) -> Tensor:
        """(G, N, D)."""
        return torch.cat(self._parts, dim=1)

    def moments(self) -> list[Moments]:
        return [of_samples(group) for group in self.all()]


class Covariance:
    """The uncentred second moments, summed while rows stream by: nothing else is kept of them.

    half_life: number of calls after which what was seen counts half; None: everything counts the same.
    """

    def __init__(self, half_life: float | None = None) -> None:
        self._keep = 1.0 if half_life is None else 0.5 ** (1.0 / half_life)
        self._sum: Tensor | None = None
        self._precision = torch.float32

    def add(self, rows: Tensor) -> None:
        self._precision = rows.dtype
        wide = rows.double()
        fresh = wide.transpose(1, 2) @ wide
        self._sum = fresh if self._sum is None else self._sum.mul_(self._keep).add_(fresh)

    def moments(self) -> list[Moments]:
        assert self._sum is not None
        return [Moments(float(c.diagonal().sum()), None, c, self._precision) for c in self._sum]


class AllTasks:
    """Second moments of all tasks that were consolidated, and of the one at hand, which may still be given up."""

    def __init__(self) -> None:
        self._kept: list[Moments] = []
        self._seen: Covariance | None = None

    def add(self, rows: Tensor) -> None:
        """rows: (G, N, D)."""
        if self._seen is None:
            self._seen = Covariance()
        self._seen.add(rows)

    def settle(self) -> list[Moments]:
        """The task at hand has ended: moments of all, for each group; none where nothing was ever seen."""
        if self._seen is not None:
            fresh = self._seen.moments()
            both = [_together(old, new) for old, new in zip(self._kept, fresh, strict=True)] if self._kept else fresh
            self._kept, self._seen = both, None
        return self._kept

    def state_dict(self) -> dict[str, Any]:
        return {"kept": [(m.total, m.covariance, m.precision) for m in self._kept]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept = [Moments(total, None, covariance, precision) for total, covariance, precision in state["kept"]]


def _together(one: Moments, other: Moments) -> Moments:
    assert one.covariance is not None
    assert other.covariance is not None
    total = one.covariance.to(other.covariance.device) + other.covariance
    return Moments(one.total + other.total, None, total, other.precision)


class FrequentDirections:
    """A sketch of `size` rows whose covariance is never more than total / size away, for layers too wide for D x D.

    Source: Ghashami, Liberty, Phillips and Woodruff 2016, "Frequent Directions", algorithm 1 with a buffer of 2 x size.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"A sketch needs at least one row, got size={size}.")
        self._size = size
        self._sketch: Tensor | None = None
        self._totals: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        if self._sketch is None or self._totals is None:
            self._sketch = rows[:, :0]
            self._totals = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
        self._totals = self._totals + rows.double().square().sum(dim=(1, 2))
        # However many rows come at once, one decomposition is enough, and the fewer there are, the less is lost.
        self._sketch = torch.cat([self._sketch, rows], dim=1)
        if self._sketch.shape[1] > 2 * self._size:
            self._shrink()

    def _shrink(self) -> None:
        assert self._sketch is not None
        wide = self._sketch.double()
        if wide.shape[1] <= wide.shape[2]:
            # The Gram matrix of few rows is small whatever D is; its eigenvectors lift to the right singular vectors.
            values, left = torch.linalg.eigh(wide @ wide.transpose(1, 2))
            values = values.flip(-1).clamp_min(0)
            lifted = left.flip(-1)[:, :, : self._size].transpose(1, 2) @ wide
        else:
            values, right = torch.linalg.eigh(wide.transpose(1, 2) @ wide)
            values = values.flip(-1).clamp_min(0)
            lifted = values[:, : self._size, None].sqrt() * right.flip(-1)[:, :, : self._size].transpose(1, 2)
        kept = values[:, : self._size]
        edge = values[:, self._size : self._size + 1]
        scale = ((kept - edge.sum(1, keepdim=True)).clamp_min(0) / kept.clamp_min(1e-300)).sqrt()
        self._sketch = (scale[:, :, None] * lifted).to(self._sketch.dtype)

    def moments(self) -> list[Moments]:
        assert self._sketch is not None
        assert self._totals is not None
        return [Moments(float(t), s, None, s.dtype) for t, s in zip(self._totals, self._sketch, strict=True)]


class SignedSums:
    """A sketch of `size` rows, each the sum of many with signs by chance: in the mean their second moments are exact.

    It costs one addition a number, where Frequent Directions decomposes a matrix every `size` rows, and it misses no
    row that is rare but strong, as a sample of as many rows would. All directions stay where there are at most `size`.
    Source: the count sketch of Charikar, Chen and Farach-Colton 2002, with rows taken in turn instead of by a hash.
    """

    def __init__(self, size: int, half_life: float | None = None) -> None:
        if size < 1:
            raise ValueError(f"A sketch needs at least one row, got size={size}.")
        self._size, self._keep = size, 1.0 if half_life is None else 0.5 ** (1.0 / half_life)
        self._generator = torch.Generator().manual_seed(0)
        self._count = 0
        self._sketch: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        if self._sketch is None:
            self._sketch = rows.new_zeros(rows.shape[0], self._size, rows.shape[2])
        elif self._keep < 1.0:
            self._sketch *= self._keep**0.5
        # No two rows of a part share a place: sums do not depend on the order in which a device makes them.
        for part in torch.split(rows, self._size, dim=1):
            fresh = part.shape[1]
            signs = torch.randint(2, (fresh, 1), generator=self._generator) * 2 - 1
            places = torch.arange(self._count, self._count + fresh, device=rows.device) % self._size
            self._sketch.index_add_(1, places, part * signs.to(part))
            self._count += fresh

    def moments(self) -> list[Moments]:
        assert self._sketch is not None
        return [of_samples(group) for group in self._sketch]


class Stream:
    """Rows as long as they are fewer than the layer has directions, then their covariance or, if wide, a sketch.

    widest: most directions for which D x D second moments are kept; sketch: rows of the sketch of wider layers.
    """

    def __init__(self, widest: int = 1536, sketch: int = 1024, half_life: float | None = None) -> None:
        self._widest, self._sketch, self._half_life = widest, sketch, half_life
        self._rows: Rows | None = Rows()
        self._sums: Covariance | SignedSums | None = None

    def add(self, rows: Tensor) -> None:
        if self._rows is None:
            assert self._sums is not None
            self._sums.add(rows)
            return
        self._rows.add(rows)
        wide = rows.shape[2] > self._widest
        # Forgetting needs the order in which rows came, which only the sums respect.
        if self._half_life is not None or len(self._rows) >= (self._sketch if wide else rows.shape[2]):
            self._sums = SignedSums(self._sketch, self._half_life) if wide else Covariance(self._half_life)
            self._sums.add(self._rows.all())
            self._rows = None

    def moments(self) -> list[Moments]:
        kept = self._sums if self._rows is None else self._rows
        assert kept is not None
        return kept.moments()
