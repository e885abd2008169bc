"""Drift that no step gives away: has the active expert, batch by batch, become somebody else?

A detector's reference follows a slow ramp. An anchor does not: it is what the expert was, with samples of that time.
A world that drifts is one where the expert has lost what the anchor knows, and the anchor does not know what the expert
has learned since. Learning more about one world does the second and not the first, so that it is no drift.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.expert import Expert, Normal

KEPT = 256
"""Samples of the anchor's time."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the expert lost of what its anchor knew, and gained on it, as shares of what there is to know (0..1)."""

    lost: float
    gained: float


class Anchor:
    """The active expert as it was, and samples that it learned then; looked at every `every` batches.

    tolerance: lost and gained share above which the world has drifted. Memory: one copy of the expert's parameters.
    """

    def __init__(self, every: int = 250, tolerance: float = 0.1) -> None:
        if every < 1 or not 0.0 < tolerance < 1.0:
            raise ValueError(f"An anchor needs every >= 1 batch and 0 < tolerance < 1, got {every} and {tolerance}.")
        self.every, self.tolerance = every, tolerance
        self._weights: dict[str, Tensor] = {}
        self._kept: list[Batch] = []

    @property
    def is_down(self) -> bool:
        return bool(self._weights)

    @property
    def kept(self) -> Sequence[Batch]:
        """Batches of the anchor's time."""
        return self._kept

    def lift(self) -> None:
        """Another expert, or another world: nothing to compare with any more."""
        self._weights, self._kept = {}, []

    def drop(self, expert: Expert, recent: Sequence[Batch]) -> None:
        """From now on compare with what `expert` is, on these batches, its latest."""
        self._weights, self._kept, samples = _copies(expert), [], 0
        for batch in reversed(recent):
            if samples >= KEPT:
                break
            # A view of a gathered chunk would keep all of it.
            self._kept.insert(
                0, Batch(batch.inputs.clone(), batch.targets.clone(), batch.contract, batch.task, batch.boundary)
            )
            samples += len(batch.targets)

    @torch.no_grad()
    def compare(self, expert: Expert, recent: Sequence[Batch], untrained: float) -> Change:
        """What changed since; where the expert is better at the anchor's samples, the anchor becomes what it is.

        untrained: the loss of who knows nothing. `expert` must be synced.
        """
        then, now, live = self._kept, list(recent)[-len(self._kept) :], _live(expert)
        old_then, old_now = self._loss(expert, then, self._weights), self._loss(expert, now, self._weights)
        new_then, new_now = self._loss(expert, then, live), self._loss(expert, now, live)
        room = max(untrained - min(old_then, new_now), 1e-6)
        if new_then <= old_then:
            self._weights = _copies(expert)
        return Change((new_then - old_then) / room, (old_now - new_now) / room)

    def drifted(self, change: Change) -> bool:
        return min(change.lost, change.gained) > self.tolerance

    @torch.no_grad()
    def restore(self, expert: Expert) -> None:
        """Put the expert back to what it was."""
        live = _live(expert)
        for name, was in self._weights.items():
            live[name].copy_(was)
        expert.rewound()

    def normal(self, expert: Expert) -> Normal:
        """What the loss of the restored expert is like on batches of its world."""
        losses = [self._loss(expert, [batch], _live(expert)) for batch in self._kept]
        return Normal(statistics.fmean(losses), statistics.stdev(losses) if len(losses) > 1 else abs(losses[0]))

    @torch.no_grad()
    def _loss(self, expert: Expert, batches: Sequence[Batch], weights: dict[str, Tensor]) -> float:
        assembly = expert.foundation.assembly
        assembly.eval()
        inputs, targets = torch.cat([b.inputs for b in batches]), torch.cat([b.targets for b in batches])
        contract, task = batches[0].contract, batches[0].task
        outputs = torch.func.functional_call(assembly, weights, (inputs, contract, expert.lane, task))
        return float(contract.objective.loss(outputs, targets))

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": {n: t.clone() for n, t in self._weights.items()},
            "kept": list(self._kept),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weights, self._kept = dict(state["weights"]), list(state["kept"])


def _live(expert: Expert) -> dict[str, Tensor]:
    """What the expert answers with and may change: its parameters and buffers, by name."""
    assembly = expert.foundation.assembly
    mine = {id(t) for t in (*assembly.lane_parameters(expert.lane), *assembly.lane_buffers(expert.lane))}
    everything = (*assembly.named_parameters(), *assembly.named_buffers())
    return {name: tensor.detach() for name, tensor in everything if id(tensor) in mine}


def _copies(expert: Expert) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in _live(expert).items()}
