"""Experience replay (Ratcliff 1990; Chaudhry et al. 2019, "On tiny episodic memories")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.retention.kinds import answers
from lifelong.retention.memory import Balance, Memory
from lifelong.retention.method import Keeper, Silent, Stored, positive, whole
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class Er:
    """Learns a batch of kept samples with each new batch (Chaudhry et al. 2019).

    The loss is that of the new batch plus `weight` times that of the kept ones. capacity: samples kept in all.
    batch_size: how many are drawn at each step (None: as many as are new). balance: see `lifelong.retention.memory`.
    """

    capacity: int = 500
    batch_size: int | None = None
    weight: float = 1.0
    balance: Balance = "reservoir"

    def __post_init__(self) -> None:
        Memory(self.capacity, self.balance)
        if not positive(self.weight) or (self.batch_size is not None and not whole(self.batch_size)):
            raise ValueError(
                "weight must be positive and batch_size a whole number of at least 1, or null for that of the stream, "
                f"got weight={self.weight}, batch_size={self.batch_size}."
            )

    @property
    def needs(self) -> Needs:
        return Needs()

    def keeper(self, model: Model, seed: int) -> Keeper:
        return Replay(self, model, seed)


class Replay(Silent):
    """What experience replay keeps; `memory` is open to those that build on it."""

    def __init__(self, settings: Er, model: Model, seed: int) -> None:
        self._settings, self._model = settings, model
        self.memory = Memory(settings.capacity, settings.balance, seed)

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor | None:
        if not len(self.memory):
            return None
        drawn = self.memory.draw(self._settings.batch_size or len(batch.targets))
        return self._settings.weight * mean_loss(self._model, [kept for kept, _ in drawn])

    def observe(self, batch: Batch, outputs: Tensor) -> None:
        self.memory.add(batch)

    def retract(self, samples: int) -> None:
        self.memory.retract(samples)

    def stored(self) -> Stored:
        return self.memory.stored()

    def state_dict(self) -> dict[str, Any]:
        return self.memory.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.memory.load_state_dict(state)


def mean_loss(model: Model, batches: list[Batch]) -> Tensor:
    """The mean loss over all samples of batches of any kinds, with a graph."""
    total = sum(len(batch.targets) for batch in batches)
    parts = [
        batch.contract.objective.loss(outputs, batch.targets) * (len(batch.targets) / total)
        for batch, outputs in zip(batches, answers(model, batches), strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()
