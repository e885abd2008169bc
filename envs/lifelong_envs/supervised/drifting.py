"""Real tables that drift by themselves: one pass in the order of time, each row answered before it is learned.

N rows that are learned, M that never are, D columns, C outputs, B rows in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lifelong.experience import Batch, Truth
from lifelong.objective import Contract
from lifelong.stream import Segment, Task
from lifelong_envs.supervised.data import DataSet, DataSource

_CHUNK_ROWS = 4096


class DriftingStream:
    """A table's training rows in order, once, in batches: one segment of one task, for nobody knows where it drifts.

    The measure is the prequential one: scores before each update (Gama et al. 2013). The test samples that the loop
    judges are the rows after the end, the table's near future, which are never learned; they follow the same
    preparation as the others, each with its own past.
    """

    def __init__(
        self, name: str, contract: Contract, inputs: Tensor, targets: Tensor, learned: int, batch: int
    ) -> None:
        self._name, self._contract, self._batch = name, contract, batch
        self._inputs, self._targets = inputs[:learned], targets[:learned]
        self._task = Task(name, contract, inputs[learned:], targets[learned:])

    @property
    def name(self) -> str:
        return self._name

    @property
    def tasks(self) -> Sequence[Task]:
        return (self._task,)

    @property
    def segments(self) -> Sequence[Segment]:
        return (Segment(self._task.name, -(-len(self._inputs) // self._batch)),)

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        """Experiences from step `start` (0-based) on. Raises ValueError where it lies outside the stream."""
        steps = self.segments[0].steps
        if not 0 <= start <= steps:
            raise ValueError(f"The stream {self._name!r} has {steps} steps, it cannot start at step {start}.")
        return self._from(start * self._batch)

    def _from(self, row: int) -> Iterator[tuple[Batch, Truth]]:
        truth, contract, size = Truth(self._task.name, 0), self._contract, self._batch
        chunk = size * max(1, _CHUNK_ROWS // size)
        for at in range(row, len(self._inputs), chunk):
            some, answers = self._inputs[at : at + chunk], self._targets[at : at + chunk]
            for inputs, targets in zip(torch.split(some, size), torch.split(answers, size), strict=True):
                yield Batch(inputs, targets, contract), truth


def drifting(
    data: DataSource, batch_size: int = 1, lags: int = 0, device: torch.device | str = "cpu"
) -> DriftingStream:
    """One table in the order of time: test, then learn, row by row (batch_size 1: the classic protocol).

    data: training rows in time order, then the test rows that follow them: `csv` with split: time and standardise:
    never. Columns are standardised by mean and deviation of the rows up to and including each, so nothing looks ahead.
    lags: how many of the latest labels stand among the inputs (one-hot, zeros before there is one): those that are
    known when a batch comes, so the rows of a batch share them. Name that variant beside a result: labels that persist
    make it another, easier problem. Raises ValueError for settings out of range and samples that are not rows.
    """
    if batch_size < 1 or lags < 0:
        raise ValueError(f"drifting: batch_size must be 1 or more and lags 0 or more, got {batch_size} and {lags}.")
    source = data.load(torch.device(device))
    if len(source.input_shape) != 1:
        raise ValueError(
            f"drifting: {source.name!r} holds samples of shape {source.input_shape}, expected rows of shape (columns,)."
        )
    if lags >= len(source.train_inputs):
        raise ValueError(
            f"drifting: lags={lags}, but {source.name!r} has {len(source.train_inputs)} rows to learn from."
        )
    inputs = standardised(torch.cat([source.train_inputs, source.test_inputs]))
    targets = torch.cat([source.train_targets, source.test_targets])
    if lags:
        inputs = torch.cat([inputs, latest(_as_numbers(source, targets), lags, batch_size)], dim=1)
    name = source.name + (f", {lags} label lag{'s' * (lags > 1)}" if lags else "")
    contract = Contract((inputs.shape[1],), source.outputs, source.objective)
    return DriftingStream(name, contract, inputs, targets, len(source.train_inputs), batch_size)


def standardised(rows: Tensor) -> Tensor:
    """(N, D) -> (N, D) float32: each row less the mean of the rows so far, itself among them, by their deviation.

    A column that was constant so far is 0. No later row has a say, and the units of a column have none either.
    """
    # About the first row, so that a constant column has exactly no variance, and large offsets lose no digits.
    moved = rows.double() - rows[0].double()
    count = torch.arange(1, len(rows) + 1, dtype=torch.float64, device=rows.device)[:, None]
    mean = moved.cumsum(0) / count
    variance = (moved.square().cumsum(0) / count - mean.square()).clamp(min=0.0)
    known = variance > 1e-12 * mean.square()
    return torch.where(known, (moved - mean) / variance.where(known, torch.ones_like(variance)).sqrt(), 0.0).float()


def latest(answers: Tensor, lags: int, batch: int) -> Tensor:
    """(N, C) answers -> (N, lags * C): for each row the latest ones before its batch, the newest first, else zeros."""
    begins = torch.arange(len(answers), device=answers.device) // batch * batch
    found = []
    for lag in range(1, lags + 1):
        rows = begins - lag
        found.append(torch.where((rows >= 0)[:, None], answers[rows.clamp(min=0)], 0.0))
    return torch.cat(found, dim=1)


def _as_numbers(source: DataSet, targets: Tensor) -> Tensor:
    """Targets as (N, C) floats: one-hot where they are classes."""
    return torch.nn.functional.one_hot(targets, source.outputs).float() if source.has_classes else targets
