"""Samples of each task that ended, an equal share of the capacity each: the episodic memory of GEM and A-GEM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lifelong.experience import Batch
from lifelong.retention.kinds import merged
from lifelong.retention.method import Stored, whole
from lifelong.retention.model import bytes_of


class Episodes:
    """A list of batches for each task that ended; when one more comes, the others give up samples at random for it.

    Raises ValueError for a capacity below 1.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        if not whole(capacity):
            raise ValueError(f"capacity must be a whole number of at least 1 sample, got {capacity}.")
        self._capacity = capacity
        self._random = torch.Generator().manual_seed(seed)
        self.tasks: list[list[Batch]] = []

    def add(self, batches: Sequence[Batch]) -> None:
        """One more task. Raises ValueError, and stays as it was, where there is no room for a sample of each."""
        tasks = [*self.tasks, merged(batches)]
        share = self._capacity // len(tasks)
        if not share:
            raise ValueError(
                f"A memory of {self._capacity} samples cannot keep one of each of {len(tasks)} tasks: give it a "
                "larger capacity."
            )
        self.tasks = [self._drawn(task, share) for task in tasks]

    def draw(self, count: int | None, task: int | None = None) -> list[Batch]:
        """`count` samples (None: all) of one task, or of all tasks together."""
        batches = self.tasks[task] if task is not None else [batch for one in self.tasks for batch in one]
        return batches if count is None else self._drawn(batches, count)

    def _drawn(self, batches: Sequence[Batch], count: int) -> list[Batch]:
        sizes = [len(batch.targets) for batch in batches]
        if sum(sizes) <= count:
            return list(batches)
        chosen = torch.randperm(sum(sizes), generator=self._random)[:count].sort().values
        found, first = [], 0
        for batch, size in zip(batches, sizes, strict=True):
            rows = chosen[(chosen >= first) & (chosen < first + size)] - first
            first += size
            if len(rows):
                rows = rows.to(batch.inputs.device)
                found.append(Batch(batch.inputs[rows], batch.targets[rows], batch.contract, batch.task))
        return merged(found)

    def stored(self) -> Stored:
        kept = [batch for task in self.tasks for batch in task]
        return Stored(sum(len(b.targets) for b in kept), bytes_of(t for b in kept for t in (b.inputs, b.targets)))

    def state_dict(self) -> dict[str, Any]:
        return {"random": self._random.get_state(), "tasks": [list(task) for task in self.tasks]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._random.set_state(state["random"].cpu())
        self.tasks = [list(task) for task in state["tasks"]]
