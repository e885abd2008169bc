"""An expert that becomes small while it learns: pruned step by step, and what that costs it for a while."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.pruning import Gradual, Pruner, PruningHandle

RECOVERS = 0.9
"""Share of what a pruning cost that is left after one more update."""


DOUBT = 3.0
"""Times what pruning cost a batch that was just learned: so much it may cost others."""


def shown(loss: float, excess: float, latest: Sequence[float]) -> float:
    """The loss as who watches it should see it: what a pruning may have made of it is no news."""
    return loss if excess < 1e-3 else max(loss - DOUBT * excess, min(loss, statistics.median(latest)))


class Shrinking:
    """Prunes a module by a schedule of its updates, whichever optimizer it has at the time.

    updates: steps so far. cut: the step after which something was pruned last (0: never). excess: what the loss is
    higher for, because of what was pruned lately; it gets over that.
    """

    def __init__(self, schedule: Gradual) -> None:
        self._schedule = schedule
        self._pruner: Pruner | None = None
        self._handle: PruningHandle | None = None
        self._updates, self._cut, self.excess = 0, 0, 0.0

    @property
    def updates(self) -> int:
        return self._updates if self._pruner is None else self._pruner.updates

    @property
    def cut(self) -> int:
        return self._cut if self._pruner is None else self._pruner.cut

    def attach(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Go on where it was left; what is small by now is what is zero."""
        self.detach()
        self._pruner = Pruner(module)
        self._pruner.updates, self._pruner.cut = self._updates, self._cut
        if self._updates > self._schedule.begin:
            self._pruner.follow()
        self._handle = self._pruner.attach(optimizer, self._schedule)

    def detach(self) -> None:
        """Let go of the optimizer."""
        if self._pruner is not None and self._handle is not None:
            self._handle.detach()
            self._updates, self._cut = self._pruner.updates, self._pruner.cut
        self._pruner, self._handle = None, None

    def stepped(self, before: Tensor, again: Callable[[], Tensor]) -> None:
        """After a step. before: the loss that it went down. again: the loss on the same batch now."""
        self.excess *= RECOVERS
        if self.cut == self.updates > 0:
            self.excess += max(0.0, again().item() - before.item())

    def rewound(self, updates: int) -> None:
        """The module was put back to what it was so many updates ago: what is zero is pruned."""
        if self._pruner is not None:
            self._pruner.updates -= updates
            self._pruner.follow()

    def was_cut(self, updates: int) -> bool:
        """Whether something was pruned in the last so many updates."""
        return self.cut > 0 and self.updates - self.cut < updates

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "cut": self.cut, "excess": self.excess}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Before it is attached."""
        self._updates, self._cut, self.excess = state["updates"], state["cut"], state["excess"]
