"""Frozen features and the nearest class mean: what can be had without any training at all, and so without
forgetting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.assembly import Assembly
from lifelong.events import Event, ExpertSpawned, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Size
from lifelong.network import Mlp, Network
from lifelong.objective import Classification, Contract

LANE = "frozen"
Kind = tuple[int, tuple[int, ...], str | None]


class Frozen:
    """The mean feature of each class, in a network that is never trained (Janson et al. 2022; Mensink et al. 2013).

    A method that scores no higher learned nothing that its network's first weights did not give it. Means are running
    ones, so nothing depends on the order of the samples. Classification alone.
    """

    def __init__(self, network: Network = Mlp(), seed: int = 0, device: torch.device | str = "cpu") -> None:
        self._body = Assembly(network, seed, device).eval().requires_grad_(False)
        # Sums of features (C, F) in float64, and counts (C,), of each kind of answer.
        self._sums: dict[Kind, tuple[Tensor, Tensor]] = {}
        self._last_task: str | None = None

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        objective, first = batch.contract.objective, not self._sums
        self._last_task = batch.task
        kind, features = _kind(batch.contract, batch.task), self._features(batch.inputs)
        outputs = self._answer(features, batch.contract, batch.task)
        sums, counts = self._sums.get(kind) or _nothing(batch.contract.outputs, features)
        self._sums[kind] = (
            sums.index_add(0, batch.targets, features.double()),
            counts.index_add(0, batch.targets, torch.ones_like(batch.targets, dtype=torch.float64)),
        )
        update = Update(0, objective.loss(outputs, batch.targets), outputs, batch.targets, objective.metric.per_sample)
        return (update, ExpertSpawned(0, 0)) if first else (update,)

    @torch.no_grad()
    def _features(self, inputs: Tensor) -> Tensor:
        self._body.take_in(tuple(inputs.shape[1:]))
        self._body.eval()
        return self._body.features(inputs, LANE)

    def predict(self, query: Query) -> Prediction:
        task = query.task if query.task is not None else self._last_task
        outputs = self._answer(self._features(query.inputs), query.contract, task)
        return Prediction(outputs, torch.zeros(len(outputs), dtype=torch.int64, device=outputs.device))

    def _answer(self, features: Tensor, contract: Contract, task: str | None) -> Tensor:
        """(B, F) features -> (B, C): minus half the squared distances to the means, relative to their average."""
        if not isinstance(contract.objective, Classification):
            raise ValueError(
                f"The agent 'frozen' tells classes apart and nothing else, got a task of "
                f"{contract.objective.name}: leave it out of this study."
            )
        found = self._sums.get(_kind(contract, task))
        if found is None:
            return contract.restrict(features.new_zeros(len(features), contract.outputs))
        sums, counts = found
        means = (sums / counts.clamp_min(1.0)[:, None]).to(features.dtype)
        distances = torch.cdist(features, means).square()
        met = counts > 0
        scale = distances[:, met].mean().clamp_min(1e-12)
        lowest = torch.full_like(distances, -1e4)
        return contract.restrict(torch.where(met, -0.5 * distances / scale, lowest))

    def size(self) -> Size:
        weights = sum(p.numel() * p.element_size() for p in self._body.parameters())
        kept = sum(t.numel() * t.element_size() for pair in self._sums.values() for t in pair)
        return Size(1, 0, weights + kept, stored_samples=0, stored_bytes=kept)

    def state_dict(self) -> dict[str, Any]:
        return {
            "parts": self._body.parts(),
            "sums": [(kind, sums, counts) for kind, (sums, counts) in self._sums.items()],
            "last_task": self._last_task,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._body.rebuild(state["parts"])
        self._body.requires_grad_(False)
        self._sums = {(kind[0], tuple(kind[1]), kind[2]): (sums, counts) for kind, sums, counts in state["sums"]}
        self._last_task = state["last_task"]


def _kind(contract: Contract, task: str | None) -> Kind:
    return contract.outputs, contract.input_shape, task if contract.own_head else None


def _nothing(outputs: int, features: Tensor) -> tuple[Tensor, Tensor]:
    sums = torch.zeros(outputs, features.shape[1], dtype=torch.float64, device=features.device)
    return sums, sums.new_zeros(outputs)
