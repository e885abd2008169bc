"""Memory aware synapses (Aljundi et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.retention.method import Keeper, Silent, Stored, positive, whole
from lifelong.retention.model import Model, detached
from lifelong.retention.needs import Needs
from lifelong.retention.per_sample import Measure, importance
from lifelong.retention.quadratic import Quadratic


@dataclass(frozen=True, slots=True)
class Mas:
    """Holds each parameter where it was, by how much the answers depend on it; needs no labels (Aljundi et al. 2018).

    The penalty is strength * sum_i O_i (p_i - p*_i)^2 (eq. 5); O sums over tasks the mean over `samples` (None: all
    that are shown) of the size of the gradient of the squared norm of a sample's outputs (eq. 3, 4).
    """

    strength: float = 0.03
    samples: int | None = 1000

    def __post_init__(self) -> None:
        if not positive(self.strength):
            raise ValueError(f"strength must be positive, got {self.strength}.")
        if self.samples is not None and not whole(self.samples):
            raise ValueError(f"samples must be a whole number of at least 1, or null for all, got {self.samples}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="found")

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


class _Keeper(Silent):
    def __init__(self, settings: Mas, model: Model) -> None:
        self._settings, self._model = settings, model
        self.penalty = Quadratic()

    def bend(self) -> None:
        self.penalty.pull(self._model.named(), 2.0 * self._settings.strength)

    def curvature(self) -> tuple[dict[str, Tensor], float]:
        return self.penalty.weights, 2.0 * self._settings.strength

    def consolidate(self, batches: Sequence[Batch]) -> None:
        sizes = importance(self._model, batches, _norm, torch.abs, _any_targets, self._settings.samples)
        self.penalty.move(sizes, detached(self._model.named()), keep=1.0)

    def stored(self) -> Stored:
        return Stored(0, self.penalty.bytes())

    def state_dict(self) -> dict[str, Any]:
        return {"penalty": self.penalty.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.penalty.load_state_dict(state["penalty"])


def _norm(batch: Batch) -> Measure:
    """The squared norm of the outputs that the task allows: what a mask forbids is no answer."""
    mask = batch.contract.mask
    return lambda outputs, targets: (outputs if mask is None else outputs[:, list(mask)]).square().sum()


def _any_targets(batch: Batch, outputs: Tensor) -> Tensor:
    return batch.targets
