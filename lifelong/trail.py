"""The way back: what an expert learned lately, and states to return to, so that a late alarm does no harm.

A shift is noticed some batches after it began, and by then the old expert has learned from them. The trail puts it
back to what it was just before, by the nearest earlier snapshot and a replay of the batches that were its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.expert import Expert


class Trail:
    """The last batches of the active expert, at least `memory` samples of them, and a few snapshots of it.

    A snapshot is taken every `every` batches and `snapshots` of them are kept, so an onset at most
    `every * (snapshots - 1)` batches back is undone exactly; an older one as far as the oldest snapshot.
    """

    def __init__(self, every: int = 16, snapshots: int = 2, memory: int = 1000) -> None:
        if every < 1 or snapshots < 2 or memory < 1:
            raise ValueError(
                f"A trail needs every >= 1, snapshots >= 2 and memory >= 1, got every={every}, "
                f"snapshots={snapshots}, memory={memory}."
            )
        self._every, self._memory, self._length = every, memory, every * snapshots
        self._snapshots: deque[tuple[int, list[Tensor]]] = deque(maxlen=snapshots)
        self._batches: deque[Batch] = deque()
        self.position = 0

    @property
    def reach(self) -> int:
        """The most batches that can ever be taken back."""
        return self._length

    @property
    def is_empty(self) -> bool:
        """Whether there is no batch on it."""
        return not self._batches

    def note(self, expert: Expert, batch: Batch) -> None:
        """Remember that `expert` is about to learn `batch`."""
        if self.position % self._every == 0:
            expert.prepare(batch.contract, batch.task)
            expert.sync()
            self._snapshots.append((self.position, self._copy(expert.tensors())))
        self._batches.append(batch)
        self.position += 1
        # The needed length is found from the last batch, so the check is two integer comparisons.
        if len(self._batches) > self._length and len(self._batches) > self._memory // max(len(batch.targets), 1) + 1:
            self._batches.popleft()

    def _copy(self, live: list[Tensor]) -> list[Tensor]:
        if len(self._snapshots) == self._snapshots.maxlen:
            old = self._snapshots.popleft()[1]
            if len(old) == len(live) and all(a.shape == b.shape for a, b in zip(old, live, strict=True)):
                _copy_into(old, live)
                return old
        return [t.clone() for t in live]

    def rewind(self, expert: Expert, count: int) -> list[Batch]:
        """Put `expert` back to before its last `count` batches; take those off the trail and return them in order."""
        while self._snapshots and self._snapshots[-1][0] > self.position - count and len(self._snapshots) > 1:
            self._snapshots.pop()
        start, kept = self._snapshots[-1]
        count = min(count, self.position - start)
        redo = self.position - start - count
        live = expert.tensors()
        if len(live) > len(kept):
            # The snapshot was taken before the first step, when the optimizer had no state yet.
            expert.forget_moments()
            live = expert.tensors()
        _copy_into(live, kept)
        latest = [self._batches.pop() for _ in range(redo + count)][::-1]
        expert.rewound(latest)
        self._batches.extend(latest[:redo])
        self.position -= count
        for batch in latest[:redo]:
            expert.update(batch)
        return latest[redo:]

    def recent(self) -> Sequence[Batch]:
        """The latest batches, oldest first: as many as hold `memory` samples, if there are so many."""
        latest: list[Batch] = []
        samples = 0
        for batch in reversed(self._batches):
            if samples >= self._memory:
                break
            latest.append(batch)
            samples += len(batch.targets)
        return latest[::-1]

    def kept(self) -> Sequence[Batch]:
        """All batches that are in memory, oldest first."""
        return tuple(self._batches)

    def clear(self) -> None:
        """Another expert takes over."""
        self.pass_on()
        self._batches.clear()

    def pass_on(self) -> None:
        """Another expert takes over in the same world: the latest batches are its own, the states are not."""
        self._snapshots.clear()
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "position": self.position,
            "snapshots": [(position, [t.clone() for t in tensors]) for position, tensors in self._snapshots],
            # Views of a larger tensor would take all of it to the disk.
            "batches": [replace(b, inputs=b.inputs.clone(), targets=b.targets.clone()) for b in self._batches],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.clear()
        self.position = state["position"]
        self._snapshots.extend((position, list(tensors)) for position, tensors in state["snapshots"])
        self._batches.extend(state["batches"])


@torch.no_grad()
def _copy_into(into: list[Tensor], values: list[Tensor]) -> None:
    torch._foreach_copy_(into, values)
