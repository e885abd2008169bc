"""Where the episodes of a world begin: what tells worlds of the same rules apart, whatever the policy does there.

A policy that learns visits other states by itself, so that unknown states are no sign of another world. Where an
episode begins is drawn by the world alone: a first observation that is unlike all earlier ones is such a sign.

N first observations as rows of D numbers, R of them kept as the reference.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.acting.encoding import Encoding, Rows
from lifelong.interaction import Transitions
from lifelong.shift.unlabelled.chance import Chance
from lifelong.shift.unlabelled.standard import Standard

LEAST, MOST = 16, 128
"""First observations that a reference is made of, at least and at most: beyond, it stays what it is."""
FEW = 8
"""Fewer first observations do not say whose world they come from."""
ROUNDING = 1e-3
UNLIKE = 20.0
"""Deviations of chance by which those of another world differ. In 20,000 episodes each of six worlds, no 8 or 16 in a
row came above 13 in their own; in other levels of a grid world 8 came to 31 and more."""


class Starts:
    """The first observations of one world, and how unlike them others are: their squared distance of means under a
    Gaussian kernel (Gretton et al., A Kernel Two-Sample Test, JMLR 2012), in deviations of chance."""

    def __init__(self) -> None:
        self._kept: Rows = np.empty((0, 0))
        self._fitted: _Fitted | None = None

    @property
    def is_ready(self) -> bool:
        """Whether enough episodes have begun to be asked."""
        return len(self._kept) >= LEAST

    def learn(self, rows: Rows) -> None:
        """Take in first observations of its own world."""
        some = rows[: MOST - len(self._kept)]
        if len(some):
            self._kept = np.concatenate((self._kept, some)) if len(self._kept) else some.copy()
            self._fitted = None

    def each(self, rows: Rows) -> Rows:
        """(N,) how unlike its own each one is, from 0."""
        fitted = self._fit()
        distances = 1.0 - 2.0 * fitted.nearness(rows).mean(1) + fitted.within
        unlike: Rows = fitted.chance.standardise(distances, 1).clamp(min=0.0).numpy()
        return unlike

    def together(self, rows: Rows) -> float:
        """How unlike its own they are as a sample: about 0 by chance; above `UNLIKE` they are another world's."""
        fitted = self._fit()
        scaled = fitted.scaled(rows)
        distance = _kernel(scaled, scaled, fitted.width).mean() - 2.0 * fitted.nearness(rows).mean() + fitted.within
        return float(fitted.chance.standardise(distance, len(rows)))

    def _fit(self) -> _Fitted:
        if self._fitted is None:
            self._fitted = _Fitted(self._kept)
        return self._fitted

    def state_dict(self) -> dict[str, Any]:
        return {"kept": torch.from_numpy(self._kept.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept, self._fitted = state["kept"].cpu().numpy().copy(), None


class _Fitted:
    """The kernel of a reference. within: the mean of the kernel between its rows."""

    def __init__(self, kept: Rows) -> None:
        rows = torch.from_numpy(kept)
        self._standard = Standard.of(rows)
        self._reference = self._standard(rows).double()
        distances = torch.pdist(self._reference)
        # More than half of the rows may be one and the same, or all; rounding alone is no distance.
        self.width = next((float(d) for d in (distances.median(), distances.mean()) if d > ROUNDING), 1.0)
        kernel = _kernel(self._reference, self._reference, self.width)
        self.within, self.chance = kernel.mean(), Chance.of(kernel, len(rows))

    def scaled(self, rows: Rows) -> Tensor:
        return self._standard(torch.from_numpy(rows)).double()

    def nearness(self, rows: Rows) -> Tensor:
        """(N, R)."""
        return _kernel(self.scaled(rows), self._reference, self.width)


def _kernel(one: Tensor, other: Tensor, width: float) -> Tensor:
    # Without matrix products, so that equal rows are at a distance of exactly zero.
    distances = torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.exp(-0.5 * (distances / width).square())


class Begun:
    """First observations of late, found in blocks of steps as they come: each with its number and its block's. L lanes.

    count: how many there were; the number of a first observation is how many came before it.
    """

    def __init__(self) -> None:
        self._next: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._rows: deque[tuple[int, Rows]] = deque(maxlen=2 * MOST)
        self.count = 0

    def forget(self) -> None:
        """Other lanes: nobody knows where their episodes stand, and their first observations may be of other widths."""
        self._next = np.zeros(0, dtype=bool)
        self._rows.clear()

    def update(self, block: Transitions, number: int, lanes: int, encoding: Encoding) -> Rows:
        """Take in a block, lane by lane within a step; (N, D) the first observations in it."""
        if len(self._next) != lanes:
            self._next = np.zeros(lanes, dtype=bool)
        ends = np.concatenate((self._next, block.terminated | block.truncated))
        self._next = ends[-lanes:]
        begins = np.flatnonzero(ends[:-lanes])
        if not len(begins):
            return np.empty((0, encoding.width))
        rows = encoding.observations(block.rows(begins).observations)
        self._rows.extend((number, row) for row in rows)
        self.count += len(rows)
        return rows

    def block_of(self, number: int) -> int:
        """In which block a first observation came; of one that is long gone, the block of the oldest."""
        return self._rows[max(0, len(self._rows) - (self.count - number))][0]

    def since(self, number: int) -> Rows:
        """First observations from this one on."""
        return self._stacked([row for _, row in self._rows][max(0, len(self._rows) - (self.count - number)) :])

    def after(self, block: int) -> Rows:
        """First observations of the blocks after this one."""
        return self._stacked([row for number, row in self._rows if number > block])

    def within(self, block: int) -> Rows:
        """First observations of one block."""
        return self._stacked([row for number, row in self._rows if number == block])

    def _stacked(self, rows: list[Rows]) -> Rows:
        return np.stack(rows) if rows else np.empty((0, 0))

    def state_dict(self) -> dict[str, Any]:
        blocks = [number for number, _ in self._rows]
        rows = torch.from_numpy(self._stacked([row for _, row in self._rows]))
        return {"next": self._next.tolist(), "blocks": blocks, "rows": rows, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next, self.count = np.array(state["next"], dtype=bool), state["count"]
        rows = state["rows"].cpu().numpy().copy()
        self._rows = deque(zip(state["blocks"], rows, strict=True), maxlen=2 * MOST)
