"""Logit swap self-distillation (Jiang et al. 2024, Mix-CPT)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.experience import Batch
from lifelong.retention.method import Keeper, Silent, Stored
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class LogitSwap:
    """Teaches the network its own answers of before the task, corrected where they are wrong (Jiang et al. 2024).

    In the logits of the network as it was when the last task ended, those of its likeliest class and of the true class
    change places; the loss of a batch is KL(softmax of these || softmax of the answers), in place of the task's own.
    The network learns what is right and keeps what it thought of all other classes. weight: of this loss, beside 1 -
    weight of the task's own; with 1 it forgets least and learns least, because answers that were unsure stay so.
    Before the first task has ended, and for a head that no ended task has trained, the loss is the task's own: logits
    of a head that knows nothing would teach nothing. Raises ValueError, as it learns, for tasks without classes.
    """

    weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.weight <= 1.0:
            raise ValueError(f"weight must be in (0, 1], got {self.weight}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="found", shared_head=True, classes=True)

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


_Kind = tuple[tuple[int, ...], int, str | None]
"""What an answer comes from: the shape of inputs, how many outputs, and the task where each has its own head."""


def _kind(batch: Batch) -> _Kind:
    contract = batch.contract
    return contract.input_shape, contract.outputs, batch.task if contract.own_head else None


class _Keeper(Silent):
    def __init__(self, settings: LogitSwap, model: Model) -> None:
        self._settings, self._model = settings, model
        self._then: Model | None = None
        self._known: list[_Kind] = []

    def objective(self, batch: Batch, outputs: Tensor) -> Tensor:
        contract, weight = batch.contract, self._settings.weight
        own = contract.objective.loss(outputs, batch.targets)
        if self._then is None or _kind(batch) not in self._known:
            return own
        with torch.no_grad():
            wanted = swapped(self._then.outputs(batch.inputs, contract, batch.task), batch.targets)
        if contract.mask is not None:
            # What the task forbids is the lowest number there is, for both, and minus infinity as a logarithm.
            allowed = list(contract.mask)
            wanted, outputs = wanted[:, allowed], outputs[:, allowed]
        told = F.kl_div(outputs.log_softmax(-1), wanted.log_softmax(-1), reduction="batchmean", log_target=True)
        return told if weight == 1.0 else weight * told + (1.0 - weight) * own

    def consolidate(self, batches: Sequence[Batch]) -> None:
        self._then = self._model.twin()
        for batch in batches:
            if _kind(batch) not in self._known:
                self._known.append(_kind(batch))

    def stored(self) -> Stored:
        return Stored(0, 0 if self._then is None else self._then.bytes())

    def state_dict(self) -> dict[str, Any]:
        return {"then": None if self._then is None else self._then.module.state_dict(), "known": list(self._known)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._then = None if state["then"] is None else self._model.twin_of(state["then"])
        self._known = [(tuple(shape), outputs, task) for shape, outputs, task in state["known"]]


def swapped(logits: Tensor, targets: Tensor) -> Tensor:
    """(B, C) logits in which the largest and that of the (B,) target classes have changed places."""
    likeliest, true = logits.argmax(1, keepdim=True), targets[:, None]
    first, second = logits.gather(1, likeliest), logits.gather(1, true)
    return logits.scatter(1, likeliest, second).scatter(1, true, first)
