"""What each update of a run came to, in columns that stay within bounds however long the run is.

Every update has a row of its own until there are more than LIMIT; then neighbours of one expert in one stretch of the
stream are put together, so that a row stands for several updates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong.events import Learned

LIMIT = 1 << 18
"""Rows after which neighbours are put together: 21 MB of them."""

PENDING = 1 << 12
"""Updates and blocks that wait to be laid out: many at once are laid out far faster."""

ROW = np.dtype(
    [
        ("step", np.int64),
        ("updates", np.int64),
        ("expert", np.int64),
        ("stretch", np.int64),
        ("loss", np.float64),
        ("score", np.float64),
        ("scored", np.int64),
        ("statistic", np.float64),
        ("samples", np.float64),
        ("broken", np.int64),
    ]
)
"""The last step of a row; how many updates it stands for; whose; in which stretch of the truth; their mean loss and
score, each over those that are numbers and weighted by samples, NaN where none is; how many scores are; the highest
statistic; samples in all; the first step whose loss is no number, 0 where each is one."""

Table = NDArray[np.void]


class Columns:
    """Takes updates in as they come, and gives them as a table of `ROW`."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit, self._width = limit, 1
        self._table: Table = np.empty(0, ROW)
        self._pending: list[tuple[int, Learned, int]] = []
        self._waiting = 0

    def add(self, step: int, learned: Learned, stretch: int) -> None:
        """A block of updates, one to a step, the last of them at `step`."""
        self._pending.append((step, learned, stretch))
        self._waiting += len(learned.losses)
        if self._waiting >= PENDING or len(self._pending) >= PENDING:
            self._settle()

    def table(self) -> Table:
        """(R,) rows in order."""
        self._settle()
        return self._table

    def _settle(self) -> None:
        if self._pending:
            self._table = np.concatenate([self._table, _laid_out(self._pending)])
            self._pending, self._waiting = [], 0
        while len(self._table) > self._limit:
            self._width *= 2
            before = len(self._table)
            self._table = _together(self._table, self._width)
            if len(self._table) > 0.75 * before and self._width > before:
                # Too many stretches for that: then there is that much to keep.
                self._limit = 2 * before


def _laid_out(blocks: list[tuple[int, Learned, int]]) -> Table:
    lengths = [len(learned.losses) for _, learned, _ in blocks]
    rows = np.empty(sum(lengths), ROW)
    # One update happens on each step, so the step of a block's last update tells the steps of all.
    steps = [np.arange(step - len(one.losses) + 1, step + 1) for step, one, _ in blocks]
    rows["step"] = np.concatenate(steps)
    rows["updates"] = 1
    rows["expert"] = np.repeat([learned.expert for _, learned, _ in blocks], lengths)
    rows["stretch"] = np.repeat([stretch for *_, stretch in blocks], lengths)
    rows["loss"] = np.concatenate([np.array(learned.losses, dtype=np.float64) for _, learned, _ in blocks])
    rows["score"] = np.concatenate([np.array(learned.scores, dtype=np.float64) for _, learned, _ in blocks])
    rows["scored"] = np.isfinite(rows["score"])
    rows["statistic"] = np.concatenate([np.array(learned.statistics, dtype=np.float64) for _, learned, _ in blocks])
    rows["samples"] = np.repeat([one.samples / max(len(one.losses), 1) for _, one, _ in blocks], lengths)
    rows["broken"] = np.where(np.isfinite(rows["loss"]), 0, rows["step"])
    return rows


def _together(rows: Table, width: int) -> Table:
    """Neighbours of one expert in one stretch put together, `width` updates to a row where there are so many."""
    changed = (np.diff(rows["expert"]) != 0) | (np.diff(rows["stretch"]) != 0)
    begins = np.flatnonzero(np.concatenate([[True], changed]))
    run = np.concatenate([[0], np.cumsum(changed)])
    done = np.cumsum(rows["updates"])
    before = (done - rows["updates"])[begins]
    place = (done - before[run] - 1) // width
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(run) != 0) | (np.diff(place) != 0)]))
    ends = np.concatenate([starts[1:], [len(rows)]]) - 1
    joined = rows[ends].copy()
    for name in ("updates", "samples", "scored"):
        joined[name] = np.add.reduceat(rows[name], starts)
    shares = {"loss": np.isfinite(rows["loss"]), "score": rows["scored"] / rows["updates"]}
    for name, share in shares.items():
        known, weights = np.isfinite(rows[name]), rows["samples"] * share
        total = np.add.reduceat(weights, starts)
        summed = np.add.reduceat(np.where(known, rows[name], 0.0) * weights, starts)
        joined[name] = np.divide(summed, total, out=np.full(len(starts), np.nan), where=total > 0)
    joined["statistic"] = np.fmax.reduceat(rows["statistic"], starts)
    first = np.minimum.reduceat(np.where(rows["broken"] > 0, rows["broken"], np.iinfo(np.int64).max), starts)
    joined["broken"] = np.where(first == np.iinfo(np.int64).max, 0, first)
    return joined  # type: ignore[no-any-return]
