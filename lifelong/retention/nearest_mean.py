"""Answers by the nearest mean of kept samples' features, in the manner of iCaRL (Rebuffi et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.er import Er, Replay
from lifelong.retention.kinds import Head, by_head, head_of
from lifelong.retention.memory import Balance
from lifelong.retention.method import Keeper
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs

UNMET = -1e4
"""The output for a class of which no sample is kept: below every other, and a number."""


@dataclass(frozen=True, slots=True)
class NearestMeanHead:
    """Replay, and answers by the class whose kept samples' mean feature is nearest (Rebuffi et al. 2017, alg. 1).

    A classifier of means has no last layer that could favour the latest classes. Features and means have length one.
    iCaRL picks samples by herding; here they are a uniform draw of each class. weight: of the replayed samples' loss.
    Tasks without classes, and those of which nothing is kept, are answered by the network itself.
    """

    capacity: int = 500
    batch_size: int | None = None
    weight: float = 1.0
    balance: Balance = "class"

    def __post_init__(self) -> None:
        self._as_er()

    def _as_er(self) -> Er:
        return Er(self.capacity, self.batch_size, self.weight, self.balance)

    @property
    def needs(self) -> Needs:
        return Needs()

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self._as_er(), model, seed)


class _Keeper(Replay):
    def __init__(self, settings: Er, model: Model, seed: int) -> None:
        super().__init__(settings, model, seed)
        self._means: dict[Head, tuple[Tensor, Tensor]] | None = None

    def observe(self, batch: Batch, outputs: Tensor) -> None:
        super().observe(batch, outputs)
        # The network has moved, and the features of all samples with it.
        self._means = None

    def consolidate(self, batches: Sequence[Batch]) -> None:
        # A method beside this one may move the network as a task ends.
        self._means = None

    def retract(self, samples: int) -> None:
        super().retract(samples)
        self._means = None

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._means = None

    @torch.no_grad()
    def answer(self, inputs: Tensor, contract: Contract, task: str | None) -> Tensor | None:
        if not isinstance(contract.objective, Classification):
            return None
        if self._means is None:
            kept = [b for b, _ in self.memory.all() if isinstance(b.contract.objective, Classification)]
            self._means = {
                head: self._mean([kept[place] for place in places]) for head, places in by_head(kept).items()
            }
        found = self._means.get(head_of(contract, task))
        if found is None:
            return None
        means, met = found
        directions = self._directions(inputs, contract, task)
        with torch.autocast(inputs.device.type, enabled=False):
            alike = directions @ means.to(directions.dtype).T
        return contract.restrict((2.0 * alike - 1.0).masked_fill(~met, UNMET))

    def _mean(self, batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """(C, F) means of length one, and (C,) which classes there are, of batches that one head answers."""
        directions = torch.cat([self._directions(b.inputs, b.contract, b.task) for b in batches])
        targets = torch.cat([b.targets for b in batches])
        members = F.one_hot(targets, batches[0].contract.outputs).to(directions.dtype)
        with torch.autocast(directions.device.type, enabled=False):
            return F.normalize(members.T @ directions, dim=1), members.sum(0) > 0

    def _directions(self, inputs: Tensor, contract: Contract, task: str | None) -> Tensor:
        """(B, F) features of length one, in single precision at least: under autocast they come in half of it."""
        features = self._model.features(inputs, contract, task)
        return F.normalize(features.to(torch.promote_types(features.dtype, torch.float32)), dim=1)
