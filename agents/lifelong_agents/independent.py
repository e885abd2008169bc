"""Independent experts: one network per true task, told which task it is. The oracle for routing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lifelong.events import Event, ExpertChosen, ExpertSpawned, Update
from lifelong.experience import Batch, Prediction, Prospect, Query
from lifelong.expert import Expert
from lifelong.learner import Size
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.upbringing import Upbringing


class Independent:
    """One model per true task; needs the task's name in training and in judging (scenario labels: judging)."""

    def __init__(
        self,
        network: Network = Mlp(),
        optimizer: Optimizer = Optimizer(),
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._pool = Pool(Upbringing(network, optimizer), seed, device)
        self._experts_of: dict[str, int] = {}
        self._active: Expert | None = None

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        number = self._experts_of.get(_told(batch.task))
        if number is None:
            expert = self._pool.spawn([batch])
            self._experts_of[_told(batch.task)] = expert.number
        else:
            expert = self._pool.experts[number]
        previous, self._active = self._active, expert
        update = expert.update(batch)
        if previous is expert:
            return (update,)
        if previous is not None:
            previous.rest()
        if number is None:
            parameters = sum(p.numel() for p in expert.foundation.assembly.parameters())
            return (update, ExpertSpawned(expert.number, parameters))
        return (update, ExpertChosen(expert.number, 0.0))

    @property
    def is_particular(self) -> bool:
        return True

    def suits(self, first: Batch, prospect: Prospect | None = None) -> None:
        _told(first.task)
        if prospect is not None and not prospect.labelled:
            _told(None)

    def predict(self, query: Query) -> Prediction:
        number = self._experts_of.get(_told(query.task), -1)
        if number < 0:
            outputs = self._pool.untrained(query.inputs, query.contract)
        else:
            outputs = self._pool.experts[number].answer(query.inputs, query.contract, query.task)
        return Prediction(outputs, torch.full((len(outputs),), number, device=outputs.device))

    def size(self) -> Size:
        return self._pool.size()

    def state_dict(self) -> dict[str, Any]:
        return {
            "pool": self._pool.state_dict(),
            "experts_of": dict(self._experts_of),
            "active": None if self._active is None else self._active.number,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pool.load_state_dict(state["pool"])
        self._experts_of = dict(state["experts_of"])
        self._active = None if state["active"] is None else self._pool.experts[state["active"]]


def _told(task: str | None) -> str:
    if task is None:
        raise ValueError(
            "The agent 'independent' is an oracle: it needs the task's name with every batch and every query. "
            "Set stream.scenario.labels=judging, or choose an agent that finds tasks by itself."
        )
    return task
