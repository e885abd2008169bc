"""The dummy that must stand in every table of a stream in time order: tomorrow is like today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Size
from lifelong.objective import Classification, Contract, MultiLabel


class Persistence:
    """Repeats the latest answer that it was shown: the no-change classifier (Zliobaite et al. 2015)."""

    def __init__(self) -> None:
        self._last: Tensor | None = None

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        outputs = self._answer(len(batch.inputs), batch.contract, batch.inputs.device)
        # A view would keep the whole table in memory.
        self._last = batch.targets[-1].clone()
        objective = batch.contract.objective
        return (Update(0, objective.loss(outputs, batch.targets), outputs, batch.targets, objective.metric.per_sample),)

    def predict(self, query: Query) -> Prediction:
        outputs = self._answer(len(query.inputs), query.contract, query.inputs.device)
        return Prediction(outputs, torch.zeros(len(outputs), dtype=torch.int64, device=outputs.device))

    def _answer(self, rows: int, contract: Contract, device: torch.device) -> Tensor:
        """(rows, C) outputs that all say the latest answer; zeros where there is none, or none of this kind."""
        outputs, last = torch.zeros(contract.outputs, device=device), self._last
        if isinstance(contract.objective, Classification):
            if last is not None and last.ndim == 0 and int(last) < contract.outputs:
                outputs = F.one_hot(last, contract.outputs).float()
        elif last is not None and last.shape == outputs.shape:
            outputs = 2.0 * last - 1.0 if isinstance(contract.objective, MultiLabel) else last
        return contract.restrict(outputs.expand(rows, -1))

    def size(self) -> Size:
        return Size(1, 0)

    def state_dict(self) -> dict[str, Any]:
        return {"last": None if self._last is None else self._last.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last = None if state["last"] is None else state["last"].clone()
