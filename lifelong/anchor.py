"""Drift that no step gives away: has the active expert, batch by batch, become somebody else?

A detector's reference follows a slow ramp. An anchor does not: it is what the expert was, with samples of that time. A
world has drifted where the anchor finds it harder than its own, and the expert, which has learned it since, does not.
What is left of the anchor's world in the expert says whether it lost that one or serves both.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.expert import Expert, Normal

KEPT = 256
"""Samples of each of the anchor's times."""

LITTLE = 0.1
"""Share of the untrained loss that an expert must have taken off before there is anything to lose."""

CERTAIN = 5.0
"""What looks in a row must sum up to, in shares of what is tolerated, before a change is believed."""

AT_MOST = 2.0
"""What one look counts for at most: for a moment an expert is worse, or better, than it is by and large."""

TIMES = 3
"""Most times that are remembered beside the first."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the expert lost of what its anchor knew, and learned that the anchor did not have to know (0..1).

    Shares of what there is to know. `gained` counts only what the anchor finds harder than its own world: learning more
    about that one is no drift.
    """

    lost: float
    gained: float


@dataclass(frozen=True, slots=True)
class _Time:
    """Samples of a time that is to be remembered, and how well that world was known.

    best: the least loss that the expert ever had on them, after it had learned them. level: what it lost on samples of
    that world before it learned them. Whoever learns samples by heart and forgets them again has lost nothing: only
    what is worse than both is lost.
    """

    batches: tuple[Batch, ...]
    best: float
    level: float

    def known(self) -> float:
        return max(self.best, self.level)


class Anchor:
    """The active expert as it was, and samples of its times; looked at every `every` batches, oftener in doubt.

    tolerance: gained share above which the world has drifted; with half of that lost, the expert is no more who it was.
    Memory: one copy of the expert's parameters, and a few hundred samples.
    """

    def __init__(self, every: int = 250, tolerance: float = 0.1) -> None:
        if every < 1 or not 0.0 < tolerance < 1.0:
            raise ValueError(f"An anchor needs every >= 1 batch and 0 < tolerance < 1, got {every} and {tolerance}.")
        self.every, self.tolerance = every, tolerance
        self._weights: dict[str, Tensor] = {}
        self._times: list[_Time] = []
        self._doubts: list[Change] = []

    @property
    def gap(self) -> int:
        """Batches until the next look."""
        return max(1, self.every // 10) if self._doubts else self.every

    @property
    def is_down(self) -> bool:
        return bool(self._weights)

    @property
    def times(self) -> Sequence[Sequence[Batch]]:
        """Batches of each of the anchor's times."""
        return [time.batches for time in self._times]

    @property
    def known(self) -> Sequence[float]:
        """How well each of them was known: the loss that is normal there."""
        return [time.known() for time in self._times]

    @property
    def kept(self) -> Sequence[Batch]:
        """Batches of all of them."""
        return [batch for time in self._times for batch in time.batches]

    def lift(self) -> None:
        """Another expert, or another world: nothing to compare with any more."""
        self._weights, self._times, self._doubts = {}, [], []

    def drop(self, expert: Expert, recent: Sequence[Batch], level: float) -> None:
        """From now on compare with what `expert` is, on these batches, its latest; level: its loss before learning."""
        self.lift()
        self.widen(expert, recent, level, Change(0.0, 0.0))

    def widen(self, expert: Expert, recent: Sequence[Batch], level: float, change: Change) -> None:
        """The expert's world holds these batches too: it is to remember them from now on, as well as it does now."""
        if change.lost <= self.tolerance / 4:
            self._weights = _copies(expert)
        kept: list[Batch] = []
        samples = 0
        for batch in reversed(recent):
            if samples >= KEPT:
                break
            # A view of a gathered chunk would keep all of it.
            inputs, targets = batch.inputs.clone(), batch.targets.clone()
            kept.insert(0, replace(batch, inputs=inputs, targets=targets, boundary=False, ends=False))
            samples += len(batch.targets)
        self._times = [*self._times, _Time(tuple(kept), self._loss(expert, kept, _live(expert)), level)]
        # The first time of all stays: what is slowly lost is the oldest.
        del self._times[1 : max(1, len(self._times) - TIMES)]

    @torch.no_grad()
    def compare(self, expert: Expert, recent: Sequence[Batch], level: float, untrained: float) -> Change | None:
        """What changed since, None while it is not certain; without one the anchor becomes what the expert is.

        level: the expert's loss lately, before learning. untrained: that of who knows nothing. `expert` must be synced.
        """
        live, now = _live(expert), list(recent)[-len(self._times[-1].batches) :]
        old = [self._loss(expert, time.batches, self._weights) for time in self._times]
        new = [self._loss(expert, time.batches, live) for time in self._times]
        old_now, new_now = self._loss(expert, now, self._weights), self._loss(expert, now, live)
        levels = [time.level for time in self._times]
        room = untrained - min(level, *levels)
        if room <= LITTLE * untrained:
            # Nothing is known but what was learned by heart: that comes and goes with the samples.
            return Change(0.0, 0.0)
        lost = max(loss - time.known() for loss, time in zip(new, self._times, strict=True)) / room
        gained = (old_now - max(*old, *levels, new_now)) / room
        # Whoever is worse at the present as well has a bad moment, or a step size too large; nothing took its place.
        moment = max(0.0, new_now - old_now) / room
        if max(lost, gained, moment) <= self.tolerance / 4:
            self._weights = _copies(expert)
            self._times = [replace(time, level=min(time.level, level)) for time in self._times]
        self._times = [replace(t, best=min(t.best, loss)) for t, loss in zip(self._times, new, strict=True)]
        return self._certain(Change(lost - moment, gained))

    def _certain(self, change: Change) -> Change | None:
        """What was seen in several looks in a row; the clearer, the fewer."""
        if self.keeps(change) and not self.suspects(change):
            self._doubts.clear()
            return change
        self._doubts.append(change)
        if sum(min(self._weight(doubt), AT_MOST) for doubt in self._doubts) < CERTAIN:
            return None
        seen = Change(min(doubt.lost for doubt in self._doubts), min(doubt.gained for doubt in self._doubts))
        self._doubts.clear()
        return seen

    def _weight(self, change: Change) -> float:
        return max(change.lost, change.gained) / (self.tolerance / 2)

    def keeps(self, change: Change) -> bool:
        """Whether the expert still is who it was."""
        return change.lost <= self.tolerance / 2

    def suspects(self, change: Change) -> bool:
        """Whether the world may have drifted, if somebody else is at home where it came to."""
        return change.gained > self.tolerance / 2

    def is_quiet(self, change: Change) -> bool:
        """Whether there is no sign of drift at all."""
        return max(change.lost, change.gained) <= self.tolerance / 4

    def sees(self, change: Change) -> bool:
        """Whether the world has drifted."""
        return change.gained > self.tolerance

    @torch.no_grad()
    def restore(self, expert: Expert) -> None:
        """Put the expert back to what it was."""
        live = _live(expert)
        for name, was in self._weights.items():
            live[name].copy_(was)
        expert.rewound()

    def normal(self, expert: Expert) -> Normal:
        """What the loss of the restored expert is like on batches of its world."""
        losses = [self._loss(expert, [batch], _live(expert)) for batch in self.kept]
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
        weights = {name: tensor.clone() for name, tensor in self._weights.items()}
        times = [(list(time.batches), time.best, time.level) for time in self._times]
        return {"weights": weights, "times": times, "doubts": [(doubt.lost, doubt.gained) for doubt in self._doubts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weights = dict(state["weights"])
        self._times = [_Time(tuple(batches), best, level) for batches, best, level in state["times"]]
        self._doubts = [Change(lost, gained) for lost, gained in state["doubts"]]


def _live(expert: Expert) -> dict[str, Tensor]:
    """What the expert answers with and may change: its parameters and buffers, by name."""
    assembly = expert.foundation.assembly
    mine = {id(t) for t in (*assembly.lane_parameters(expert.lane), *assembly.lane_buffers(expert.lane))}
    everything = (*assembly.named_parameters(), *assembly.named_buffers())
    return {name: tensor.detach() for name, tensor in everything if id(tensor) in mine}


def _copies(expert: Expert) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in _live(expert).items()}
