"""Experience replay with an asymmetric cross-entropy (Caccia et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Classification
from lifelong.retention.er import Er, Replay
from lifelong.retention.memory import Balance
from lifelong.retention.method import Keeper
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class ErAce:
    """Replay in which new samples compete among the classes of their own batch alone (Caccia et al. 2022, eq. 4).

    Old classes are then not pushed away by samples that are none of theirs; replayed samples compete among all classes.
    The other settings are those of `Er`; tasks without classes are learned as with that.
    """

    capacity: int = 500
    batch_size: int | None = None
    weight: float = 1.0
    balance: Balance = "reservoir"

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
    def objective(self, batch: Batch, outputs: Tensor) -> Tensor:
        if not isinstance(batch.contract.objective, Classification):
            return batch.contract.objective.loss(outputs, batch.targets)
        present = torch.zeros(outputs.shape[1], dtype=torch.bool, device=outputs.device)
        present[batch.targets] = True
        lowest = torch.finfo(outputs.dtype).min
        return batch.contract.objective.loss(outputs.masked_fill(~present, lowest), batch.targets)
