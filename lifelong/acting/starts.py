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

from lifelong.acting.encoding import Encoding, Rows
from lifelong.interaction import Transitions
from lifelong.shift.unlabelled.chance import Chance
from lifelong.shift.unlabelled.standard import Standard

LEAST, MOST = 16, 128
"""First observations that a reference is made of, at least and at most: beyond, it stays what it is."""
FEW = 8
"""Fewer first observations do not say whose world they come from."""
BOUND = 8.0
"""Deviations that one number of a first observation counts for at most."""
WIDE = 1.5
"""Width of the kernel, in median distances: what is far away must look farther than the reference's own outliers."""
ROUNDING = 1e-3
RENEWED = 1.4
"""The kernel is worked out anew when the reference has grown by this factor."""
UNLIKE = 28.0
"""Deviations of chance by which those of another world differ. In 20,000 first
observations of each of seven worlds, cut into eights and sixteens in three ways and held against references of 16, 32
and 128, none came above 18 in their own; eights of other levels of a grid world never came below 49."""


class Starts:
    """The first observations of one world, and how unlike them others are: their squared distance of means under a
    Gaussian kernel (Gretton et al., A Kernel Two-Sample Test, JMLR 2012), in deviations of chance."""

    def __init__(self) -> None:
        self._kept: Rows = np.empty((0, 0))
        self._fitted: _Fitted | None = None
        self._fitted_to = 0

    @property
    def is_ready(self) -> bool:
        """Whether enough episodes have begun to be asked."""
        return len(self._kept) >= LEAST

    def learn(self, rows: Rows) -> None:
        """Take in first observations of its own world."""
        some = rows[: MOST - len(self._kept)]
        if not len(some):
            return
        self._kept = np.concatenate((self._kept, some)) if len(self._kept) else some.copy()
        if self.is_ready and len(self._kept) >= min(MOST, RENEWED * self._fitted_to):
            self._fitted, self._fitted_to = _Fitted(self._kept), len(self._kept)

    def each(self, rows: Rows) -> Rows:
        """(N,) how unlike its own each one is, from 0."""
        fitted = self._reference
        distances = 1.0 - 2.0 * fitted.nearness(fitted.scaled(rows)).mean(1) + fitted.within
        unlike: Rows = np.maximum(fitted.chance.standardise(distances, 1), 0.0)
        return unlike

    def together(self, rows: Rows) -> float:
        """How unlike its own they are as a sample: about 0 by chance; above `UNLIKE` they are another world's."""
        fitted = self._reference
        scaled = fitted.scaled(rows)
        within = _kernel(scaled, scaled, fitted.width).mean()
        distance = within - 2.0 * fitted.nearness(scaled).mean() + fitted.within
        return float(fitted.chance.standardise(distance, len(rows)))

    @property
    def _reference(self) -> _Fitted:
        if self._fitted is None:
            raise RuntimeError(
                f"Too few episodes have begun to tell what is unlike them: {len(self._kept)} of {LEAST}."
            )
        return self._fitted

    def state_dict(self) -> dict[str, Any]:
        return {"kept": torch.from_numpy(self._kept.copy()), "fitted_to": self._fitted_to}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept, self._fitted_to = state["kept"].cpu().numpy().copy(), state["fitted_to"]
        # To what it was fitted, which may be fewer than there are.
        self._fitted = _Fitted(self._kept[: self._fitted_to]) if self._fitted_to else None


class _Fitted:
    """The kernel of a reference. width: of the kernel, in deviations. within: its mean between the reference's rows."""

    def __init__(self, kept: Rows) -> None:
        standard = Standard.of(torch.from_numpy(kept))
        self._centre, self._inverse = standard.centre.numpy(), standard.inverse.numpy()
        self._reference = self.scaled(kept)
        above = np.triu_indices(len(kept), 1)
        distances = np.sqrt(_squares(self._reference, self._reference)[above])
        # More than half of the rows may be one and the same, or all; rounding alone is no distance.
        self.width = WIDE * next((float(d) for d in (np.median(distances), distances.mean()) if d > ROUNDING), 1.0)
        kernel = _kernel(self._reference, self._reference, self.width)
        self.within, self.chance = float(kernel.mean()), Chance.of(torch.from_numpy(kernel), len(kept))

    def scaled(self, rows: Rows) -> Rows:
        """In deviations of the reference, an outlier as BOUND of them."""
        scaled: Rows = np.clip((rows - self._centre) * self._inverse, -BOUND, BOUND)
        return scaled

    def nearness(self, scaled: Rows) -> Rows:
        """(N, R)."""
        return _kernel(scaled, self._reference, self.width)


def _kernel(one: Rows, other: Rows, width: float) -> Rows:
    near: Rows = np.exp(_squares(one, other) * (-0.5 / width**2))
    return near


def _squares(one: Rows, other: Rows) -> Rows:
    # By differences, so that equal rows are at a distance of exactly zero.
    squares: Rows = np.square(one[:, None] - other).sum(2)
    return squares


class Begun:
    """First observations of late, found in blocks of steps as they come: each with its number and its block's. L lanes.

    count: how many there were; the number of a first observation is how many came before it.
    """

    def __init__(self) -> None:
        self._next: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._rows: deque[tuple[int, Rows]] = deque(maxlen=2 * MOST)
        self.count = 0

    def forget(self) -> None:
        """Other lanes: nobody knows where their episodes stand, and first observations may be of other widths."""
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
