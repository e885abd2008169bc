"""Averaged gradient episodic memory (Chaudhry et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lifelong.experience import Batch
from lifelong.retention.episodes import Episodes
from lifelong.retention.gradients import gradients, set_gradients
from lifelong.retention.method import Keeper, Silent, Stored, whole
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class Agem:
    """Takes out of the gradient what would raise the loss on a draw of old samples (Chaudhry et al. 2019, eq. 11).

    capacity: samples kept in all, an equal share of each task that ended. batch_size: how many are drawn at each step.
    """

    capacity: int = 500
    batch_size: int = 256

    def __post_init__(self) -> None:
        Episodes(self.capacity, 0)
        if not whole(self.batch_size):
            raise ValueError(f"batch_size must be a whole number of at least 1, got {self.batch_size}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="found", room=self.capacity)

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model, seed)


class _Keeper(Silent):
    def __init__(self, settings: Agem, model: Model, seed: int) -> None:
        self._settings, self._model = settings, model
        self._memory = Episodes(settings.capacity, seed)

    def project(self) -> None:
        if not self._memory.tasks:
            return
        old = gradients(self._model, self._memory.draw(self._settings.batch_size))
        named = self._model.named()
        new = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in named.values()])
        # Where both agree nothing is taken out; decided on the device, so that nobody waits for it.
        against = (new @ old).clamp_max(0.0) / (old @ old).clamp_min(1e-12)
        set_gradients(named, new - against * old)

    def consolidate(self, batches: Sequence[Batch]) -> None:
        self._memory.add(batches)

    def stored(self) -> Stored:
        return self._memory.stored()

    def state_dict(self) -> dict[str, Any]:
        return self._memory.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._memory.load_state_dict(state)
