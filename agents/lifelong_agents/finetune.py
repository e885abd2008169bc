"""Naive fine-tuning: one network that learns whatever comes. What every lifelong method is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lifelong.assembly import Assembly
from lifelong.events import Event, ExpertSpawned, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.learner import Size
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer


class Finetune:
    """Naive fine-tuning: one network, one head per kind of task (per task where tasks are named), no protection."""

    def __init__(
        self,
        network: Network = Mlp(),
        optimizer: Optimizer = Optimizer(),
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._expert = Expert(0, Foundation(Assembly(network, seed, device)), optimizer)
        self._started = False
        self._last_task: str | None = None

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        self._last_task = batch.task
        update = self._expert.update(batch)
        if self._started:
            return (update,)
        self._started = True
        return (update, ExpertSpawned(0, self.size().parameters))

    def predict(self, query: Query) -> Prediction:
        # Asked without a label about a task that has a head of its own: the latest head is the only honest guess.
        task = query.task if query.task is not None else self._last_task
        self._expert.foundation.assembly.grow(query.contract, self._expert.lane, task)
        outputs = self._expert.answer(query.inputs, query.contract, task)
        return Prediction(outputs, torch.zeros(len(outputs), dtype=torch.int64, device=outputs.device))

    def size(self) -> Size:
        foundation = self._expert.foundation
        return Size(1, foundation.parameters(), foundation.bytes(), stored_samples=0, stored_bytes=0)

    def state_dict(self) -> dict[str, Any]:
        return {
            "parts": self._expert.foundation.assembly.parts(),
            "expert": self._expert.state_dict(),
            "started": self._started,
            "last_task": self._last_task,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._expert.foundation.assembly.rebuild(state["parts"])
        self._expert.load_state_dict(state["expert"])
        self._started, self._last_task = state["started"], state["last_task"]
