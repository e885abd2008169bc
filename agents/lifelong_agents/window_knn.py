"""The windowed learner: what was the label of the rows most like this one, among the latest ones?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Size
from lifelong.objective import Classification, Contract

LEAST_CHANCE = 0.01
"""Chance of a class that no neighbour has, so that its log loss is finite."""


class WindowKnn:
    """The `neighbours` nearest (Euclidean) of the latest `window` rows vote, each by the inverse of its distance.

    A batch is answered before any of its rows is kept. Inputs should be standardised. For classes.
    """

    def __init__(self, window: int = 1000, neighbours: int = 5) -> None:
        if not 1 <= neighbours <= window:
            raise ValueError(f"WindowKnn needs 1 <= neighbours <= window, got {neighbours} and {window}.")
        self._window, self._neighbours = window, neighbours
        self._rows: NDArray[np.float64] = np.zeros((window, 0))
        self._labels: NDArray[np.int64] = np.zeros(window, dtype=np.int64)
        self._seen = 0

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        rows = _rows(batch.inputs)
        if not self._seen:
            self._rows = np.zeros((self._window, rows.shape[1]))
        outputs = self._answer(rows, batch.contract, batch.inputs.device)
        for row, label in zip(rows, batch.targets.tolist(), strict=True):
            at = self._seen % self._window
            self._rows[at], self._labels[at] = row, label
            self._seen += 1
        objective = batch.contract.objective
        return (Update(0, objective.loss(outputs, batch.targets), outputs, batch.targets, objective.metric.per_sample),)

    def predict(self, query: Query) -> Prediction:
        outputs = self._answer(_rows(query.inputs), query.contract, query.inputs.device)
        return Prediction(outputs, torch.zeros(len(outputs), dtype=torch.int64, device=outputs.device))

    def _answer(self, rows: NDArray[np.float64], contract: Contract, device: torch.device) -> Tensor:
        """Log chances of (B, D) rows, (B, C): those of the neighbours' votes."""
        if not isinstance(contract.objective, Classification):
            raise ValueError(f"WindowKnn votes on classes, the stream asks for {contract.objective.name}.")
        count = min(self._seen, self._window)
        votes = np.zeros((len(rows), contract.outputs))
        if count and rows.shape[1] != self._rows.shape[1]:
            raise ValueError(f"WindowKnn knows rows of {self._rows.shape[1]} columns, got rows of {rows.shape[1]}.")
        for place, row in enumerate(rows if count else ()):
            away = self._rows[:count] - row
            squares = np.einsum("nd,nd->n", away, away)
            near = (
                np.argpartition(squares, self._neighbours - 1)[: self._neighbours] if count > self._neighbours else ...
            )
            weights = 1.0 / (np.sqrt(squares[near]) + 1e-9)
            votes[place] = np.bincount(self._labels[:count][near], weights, contract.outputs) / weights.sum()
        return contract.restrict(torch.from_numpy(np.log(votes + LEAST_CHANCE)).float().to(device))

    def size(self) -> Size:
        return Size(1, 0)

    def state_dict(self) -> dict[str, Any]:
        rows, labels = torch.from_numpy(self._rows.copy()), torch.from_numpy(self._labels.copy())
        return {"rows": rows, "labels": labels, "seen": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rows, self._labels = state["rows"].numpy().copy(), state["labels"].numpy().copy()
        self._seen = state["seen"]


def _rows(inputs: Tensor) -> NDArray[np.float64]:
    """(B, ...) on any device -> (B, D) float64."""
    rows: NDArray[np.float64] = inputs.detach().flatten(1).cpu().double().numpy()
    return rows
