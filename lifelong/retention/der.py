"""Dark experience replay (Buzzega et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.experience import Batch
from lifelong.retention.er import Er, Replay, mean_loss
from lifelong.retention.kinds import answers
from lifelong.retention.memory import Balance, Memory
from lifelong.retention.method import Keeper, positive, whole
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class Der:
    """Keeps samples with what the network answered then, and holds it to that (Buzzega et al. 2020, eq. 6: DER++).

    The loss adds `alpha` times the squared distance (mean over outputs) to the answers of then, on one draw, and
    `beta` times the loss by true targets on a second one; beta=0 is DER. capacity, batch_size, balance: as in `Er`.
    """

    capacity: int = 500
    alpha: float = 0.5
    beta: float = 0.5
    batch_size: int | None = None
    balance: Balance = "reservoir"

    def __post_init__(self) -> None:
        Memory(self.capacity, self.balance)
        if (
            not positive(self.alpha)
            or not 0.0 <= self.beta < math.inf
            or (self.batch_size is not None and not whole(self.batch_size))
        ):
            raise ValueError(
                "alpha must be positive, beta at least 0 and batch_size a whole number of at least 1 (or null), got "
                f"alpha={self.alpha}, beta={self.beta}, batch_size={self.batch_size}."
            )

    @property
    def needs(self) -> Needs:
        return Needs()

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model, seed)


class _Keeper(Replay):
    def __init__(self, settings: Der, model: Model, seed: int) -> None:
        super().__init__(Er(settings.capacity, settings.batch_size, balance=settings.balance), model, seed)
        self._alpha, self._beta = settings.alpha, settings.beta

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor | None:
        if not len(self.memory):
            return None
        count = self._settings.batch_size or len(batch.targets)
        term = self._alpha * self._distance(self.memory.draw(count))
        if self._beta:
            term = term + self._beta * mean_loss(self._model, [kept for kept, _ in self.memory.draw(count)])
        return term

    def _distance(self, drawn: list[tuple[Batch, list[Tensor]]]) -> Tensor:
        total = sum(len(kept.targets) for kept, _ in drawn)
        parts = []
        for (kept, (then,)), now in zip(drawn, answers(self._model, [kept for kept, _ in drawn]), strict=True):
            if kept.contract.mask is not None:
                # What the task forbids is the lowest number there is, now and then.
                columns = list(kept.contract.mask)
                now, then = now[:, columns], then[:, columns]
            parts.append(F.mse_loss(now, then) * (len(kept.targets) / total))
        return torch.stack(parts).sum()

    def observe(self, batch: Batch, outputs: Tensor) -> None:
        self.memory.add(batch, outputs)
