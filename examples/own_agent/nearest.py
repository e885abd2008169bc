"""An agent of one's own: remembers the mean of each class and answers with the nearest one. No gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.events import Event, ExpertSpawned, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Size


class NearestMean:
    """Running class means over everything seen; `memory` samples are the weight that the past keeps (null: all)."""

    def __init__(self, memory: int | None = None) -> None:
        if memory is not None and memory < 1:
            raise ValueError(f"memory must be at least 1 sample, or null for all, got {memory}.")
        self._memory = memory
        self._means: Tensor | None = None  # (C, D)
        self._counts = torch.zeros(0)  # (C,)

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        outputs = self._outputs(batch.inputs, batch.contract.outputs)
        objective = batch.contract.objective
        update = Update(0, objective.loss(outputs, batch.targets), outputs, batch.targets, objective.metric.per_sample)
        first = self._means is None
        self._take_in(batch.inputs.flatten(1), batch.targets, batch.contract.outputs)
        return [update, ExpertSpawned(0, self.size().parameters)] if first else [update]

    def predict(self, query: Query) -> Prediction:
        outputs = self._outputs(query.inputs, query.contract.outputs)
        return Prediction(outputs, torch.zeros(len(outputs), dtype=torch.int64, device=outputs.device))

    def size(self) -> Size:
        return Size(experts=1, parameters=0 if self._means is None else self._means.numel())

    def state_dict(self) -> dict[str, Any]:
        return {"means": self._means, "counts": self._counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._means, self._counts = state["means"], state["counts"]

    def _outputs(self, inputs: Tensor, classes: int) -> Tensor:
        """(B, ...) inputs -> (B, C) negative squared distances; all alike while nothing is known."""
        if self._means is None:
            return inputs.new_zeros(len(inputs), classes)
        return -torch.cdist(inputs.flatten(1), self._means).square()

    def _take_in(self, rows: Tensor, targets: Tensor, classes: int) -> None:
        if self._means is None:
            self._means, self._counts = rows.new_zeros(classes, rows.shape[1]), rows.new_zeros(classes)
        member = torch.nn.functional.one_hot(targets, classes).to(rows.dtype)
        new = member.sum(0)
        past = self._counts if self._memory is None else self._counts.clamp(max=self._memory)
        self._counts = past + new
        total = past[:, None] * self._means + member.T @ rows
        self._means = torch.where(self._counts[:, None] > 0, total / self._counts[:, None].clamp(min=1), self._means)
