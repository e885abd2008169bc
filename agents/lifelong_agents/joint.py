"""Joint training: one network that keeps everything it was ever given. The reference with unlimited memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Size
from lifelong.network import Mlp, Network
from lifelong.objective import Contract
from lifelong.optimizer import Optimizer
from lifelong_agents.finetune import Finetune


class Joint:
    """Cumulative training: before each batch, `rehearsals` batches drawn evenly from all samples seen so far.

    Samples that ask for the same head are rehearsed together; kinds are drawn in proportion to what was seen of them.
    It stores all data, so it is a reference, not a method: with one shared head it cannot serve tasks that contradict
    each other.
    """

    def __init__(
        self,
        network: Network = Mlp(),
        optimizer: Optimizer = Optimizer(),
        rehearsals: int = 3,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if rehearsals < 1:
            raise ValueError(f"rehearsals must be at least 1 batch, got {rehearsals}; without any, use finetune.")
        self._inner = Finetune(network, optimizer, seed, device)
        self._rehearsals = rehearsals
        self._random = torch.Generator().manual_seed(seed)
        self._seen: list[Batch] = []
        # Samples up to and including each batch.
        self._counts: list[int] = []

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        if self._seen:
            for _ in range(self._rehearsals):
                self._inner.learn(self._draw(len(batch.targets)))
        # A batch may be a view of a larger tensor, which would be kept with it.
        self._seen.append(replace(batch, inputs=batch.inputs.clone(), targets=batch.targets.clone()))
        self._counts.append((self._counts[-1] if self._counts else 0) + len(batch.targets))
        # Last, so that the latest head is that of the task being served.
        return self._inner.learn(batch)

    def _draw(self, size: int) -> Batch:
        rows = torch.randint(self._counts[-1], (size,), generator=self._random).tolist()
        picks = [bisect_right(self._counts, row) for row in rows]
        first = self._seen[picks[0]]
        inputs: list[Tensor] = []
        targets: list[Tensor] = []
        for pick, row in zip(picks, rows, strict=True):
            kept = self._seen[pick]
            # A step trains one head: what has another waits for a draw that starts with its kind.
            if _head(kept) == _head(first):
                place = row - self._counts[pick] + len(kept.targets)
                inputs.append(kept.inputs[place])
                targets.append(kept.targets[place])
        return Batch(torch.stack(inputs), torch.stack(targets), first.contract, first.task)

    def predict(self, query: Query) -> Prediction:
        return self._inner.predict(query)

    def size(self) -> Size:
        size, kept = self._inner.size(), [t for batch in self._seen for t in (batch.inputs, batch.targets)]
        stored = sum(t.numel() * t.element_size() for t in kept)
        samples = sum(len(batch.targets) for batch in self._seen)
        return size.keeping(samples, stored)

    def state_dict(self) -> dict[str, Any]:
        return {
            "inner": self._inner.state_dict(),
            "seen": list(self._seen),
            "random": self._random.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._inner.load_state_dict(state["inner"])
        self._seen = list(state["seen"])
        self._counts = list(accumulate(len(batch.targets) for batch in self._seen))
        self._random.set_state(state["random"])


def _head(batch: Batch) -> tuple[Contract, str | None]:
    """What must be the same in a step: tasks that share a head are learned in one, whatever their names are."""
    return batch.contract, batch.task if batch.contract.own_head else None
