"""Learning without forgetting (Li and Hoiem 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.distance import distance
from lifelong.retention.method import Keeper, Silent, Stored, positive
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class Lwf:
    """Holds the network to what it answered when the last task ended, on the inputs of the new one (Li and Hoiem 2017).

    The loss adds `strength` times the distance to those answers, for each kind of answer that was learned by then:
    each head that a task had for itself, or the classes met so far of a shared one, whatever the names of its tasks
    (eq. 2, with the temperature's square, so that gradients do not shrink with it). It stores one copy of the network
    and no samples.
    """

    strength: float = 1.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        if not positive(self.strength, self.temperature):
            raise ValueError(f"strength and temperature must be positive, got {self.strength} and {self.temperature}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="found")

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


@dataclass(slots=True)
class _Known:
    """A kind of answer that was learned, and the classes met of it (None: no classes, or told by the mask).

    task: whose head answers; None where tasks share it.
    """

    contract: Contract
    task: str | None
    classes: list[int] | None

    def answers(self, batch: Batch) -> bool:
        return self.contract == batch.contract and self.task == _head(batch)


def _head(batch: Batch) -> str | None:
    return batch.task if batch.contract.own_head else None


class _Keeper(Silent):
    def __init__(self, settings: Lwf, model: Model) -> None:
        self._settings, self._model = settings, model
        self._then: Model | None = None
        self._known: list[_Known] = []

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor | None:
        then, terms = self._then, []
        if then is None:
            return None
        for known in self._known:
            contract, task = known.contract, known.task if known.contract.own_head else batch.task
            if contract.input_shape != batch.contract.input_shape:
                continue
            with torch.no_grad():
                before = then.outputs(batch.inputs, contract, task)
            now = outputs if known.answers(batch) else self._model.outputs(batch.inputs, contract, task)
            columns = known.classes if contract.mask is None else list(contract.mask)
            terms.append(distance(contract.objective, before, now, columns, self._settings.temperature))
        return self._settings.strength * torch.stack(terms).sum() if terms else None

    def consolidate(self, batches: Sequence[Batch]) -> None:
        self._then = self._model.twin()
        for batch in batches:
            met = torch.unique(batch.targets).tolist() if isinstance(batch.contract.objective, Classification) else None
            for known in self._known:
                if known.answers(batch):
                    known.classes = sorted({*(known.classes or []), *met}) if met is not None else None
                    break
            else:
                self._known.append(_Known(batch.contract, _head(batch), met))

    def stored(self) -> Stored:
        return Stored(0, 0 if self._then is None else self._then.bytes())

    def state_dict(self) -> dict[str, Any]:
        return {
            "then": None if self._then is None else self._then.module.state_dict(),
            "known": [(known.contract, known.task, known.classes) for known in self._known],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._then = None if state["then"] is None else self._model.twin_of(state["then"])
        self._known = [_Known(*known) for known in state["known"]]
