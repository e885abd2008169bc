"""Gradient episodic memory (Lopez-Paz and Ranzato 2017)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.retention.episodes import Episodes
from lifelong.retention.gradients import gradients, set_gradients
from lifelong.retention.method import Keeper, Silent, Stored, whole
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs

RIDGE = 1e-6
"""The least eigenvalue of the products of gradients of length one: below it lies rounding."""


@dataclass(frozen=True, slots=True)
class Gem:
    """The gradient nearest to the new one that raises no old task's loss (Lopez-Paz and Ranzato 2017, eq. 11).

    capacity: samples kept in all, an equal share of each task that ended. batch_size: how many of each task's are
    looked at at each step (None: all; a step then costs a pass over the memory). margin: least weight of an old
    task's gradient where any is in the way, which favours old tasks (the paper's memory strength).
    """

    capacity: int = 500
    batch_size: int | None = None
    margin: float = 0.5

    def __post_init__(self) -> None:
        Episodes(self.capacity, 0)
        if not 0.0 <= self.margin < math.inf or (self.batch_size is not None and not whole(self.batch_size)):
            raise ValueError(
                "margin must be at least 0 and batch_size a whole number of at least 1, or null for all, got "
                f"margin={self.margin}, batch_size={self.batch_size}."
            )

    @property
    def needs(self) -> Needs:
        return Needs(ends="found", room=self.capacity)

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model, seed)


class _Keeper(Silent):
    def __init__(self, settings: Gem, model: Model, seed: int) -> None:
        self._settings, self._model = settings, model
        self._memory = Episodes(settings.capacity, seed)

    def project(self) -> None:
        tasks = range(len(self._memory.tasks))
        if not tasks:
            return
        draws = [self._memory.draw(self._settings.batch_size, task) for task in tasks]
        old = torch.stack([gradients(self._model, drawn) for drawn in draws])
        named = self._model.named()
        new = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in named.values()])
        set_gradients(named, nearest_permitted(new, old, self._settings.margin))

    def consolidate(self, batches: Sequence[Batch]) -> None:
        self._memory.add(batches)

    def stored(self) -> Stored:
        return self._memory.stored()

    def state_dict(self) -> dict[str, Any]:
        return self._memory.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._memory.load_state_dict(state)


def nearest_permitted(new: Tensor, old: Tensor, margin: float = 0.0) -> Tensor:
    """(P,) gradient and (T, P) ones of old tasks -> the nearest (P,) with no negative product with any of them.

    Unchanged where it is permitted as it is. The dual (eq. 11) has T unknowns, so only T x T numbers leave the
    device; it is a non-negative least squares problem and solved exactly.
    """
    lengths = old.norm(dim=1).clamp_min(1e-30)
    unit = old / lengths[:, None]
    products = (unit @ torch.cat([unit, new[None]]).T).double().cpu().numpy()
    gram, against = products[:, :-1], products[:, -1]
    if not np.isfinite(products).all() or (against >= 0).all():
        return new
    from scipy.optimize import nnls

    # min |unit^T v + new|^2 over v >= least, in coordinates in which unit^T is the transpose of a triangular matrix. Of
    # gradients that are alike, single precision leaves a matrix that is only just not positive: lift it.
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    root = np.linalg.cholesky(vectors * np.maximum(values, RIDGE) @ vectors.T)
    least = margin * lengths.double().cpu().numpy()
    weights, _ = nnls(root.T, -np.linalg.solve(root, against + gram @ least))
    nearest: Tensor = new + torch.as_tensor(weights + least, dtype=new.dtype, device=new.device) @ unit
    return nearest
