"""A network with retention methods that sees where tasks end: a plain training loop, with an end of tasks in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from lifelong.assembly import Assembly
from lifelong.border import Border
from lifelong.events import Event, ExpertSpawned, ShiftSeen, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.learner import Size
from lifelong.network import Network
from lifelong.optimizer import Optimizer
from lifelong.retention.method import Retention, Stored
from lifelong.retention.needs import await_ends


class Told:
    """Trains on whatever comes; where a batch says that a task ends with it, that is consolidated, before it is judged.

    Where ends are not said, it is consolidated as the next one begins: by a boundary, another task or another contract
    than that of the batch before. memory: latest samples of a task that the methods are shown as it ends; they stay
    until the next one begins. Where no batch ever says so, nothing is consolidated.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        retention: tuple[Retention, ...],
        memory: int,
        seed: int,
        device: torch.device | str,
    ) -> None:
        if memory < 1:
            raise ValueError(f"memory must be at least 1 sample, got {memory}.")
        assembly = Assembly(network, seed, device)
        self._expert = Expert(0, Foundation(assembly), optimizer, retention=retention, seed=seed)
        self._memory, self._held = memory, 0
        # Where nothing is done as a task ends, nothing is kept for it.
        self._awaits = await_ends(retention)
        self._recent: deque[Batch] = deque()
        self._border = Border()

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        events: list[Event] = []
        started = self._border.contract is not None
        if self._border.begins(batch):
            events.append(ShiftSeen(0))
            if not self._border.ended:
                events += self._expert.consolidate(self._recent)
            self._recent.clear()
            self._held = 0
        self._border.passed(batch)
        if self._awaits:
            self._keep(batch)
        update = self._expert.update(batch)
        if batch.ends:
            # The optimizer goes on as it is: a fresh one takes its largest steps where old knowledge is most in danger.
            events += self._expert.consolidate(self._recent)
        return (update, *events) if started else (update, ExpertSpawned(0, self._expert.foundation.parameters()))

    def _keep(self, batch: Batch) -> None:
        self._recent.append(batch)
        self._held += len(batch.targets)
        while self._held - len(self._recent[0].targets) >= self._memory:
            self._held -= len(self._recent.popleft().targets)

    def predict(self, query: Query) -> Prediction:
        # Asked without a label about a task that has a head of its own: the latest head is the only honest guess.
        task = query.task if query.task is not None else self._border.task
        self._expert.foundation.assembly.grow(query.contract, self._expert.lane, task)
        outputs = self._expert.reply(query.inputs, query.contract, task)
        return Prediction(outputs, torch.zeros(len(outputs), dtype=torch.int64, device=outputs.device))

    def size(self) -> Size:
        stored = Stored() if self._expert.retained is None else self._expert.retained.stored()
        foundation = self._expert.foundation
        recent = [t for batch in self._recent for t in (batch.inputs, batch.targets)]
        stored = stored + Stored(self._held, sum(t.numel() * t.element_size() for t in recent))
        held = foundation.bytes() + stored.bytes
        return Size(1, foundation.parameters(), held, stored_samples=stored.samples, stored_bytes=stored.bytes)

    def state_dict(self) -> dict[str, Any]:
        return {
            "parts": self._expert.foundation.assembly.parts(),
            "expert": self._expert.state_dict(),
            # Views of a larger tensor would take all of it to the disk.
            "recent": [replace(b, inputs=b.inputs.clone(), targets=b.targets.clone()) for b in self._recent],
            "border": self._border.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._expert.foundation.assembly.rebuild(state["parts"])
        self._expert.load_state_dict(state["expert"])
        self._recent = deque(state["recent"])
        self._held = sum(len(batch.targets) for batch in self._recent)
        self._border.load_state_dict(state["border"])
