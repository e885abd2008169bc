"""Let a rule decide what an optimizer may do to a module, whatever optimizer it is.

The *step* is judged, not the gradient: moments, momentum and weight decay turn an allowed gradient into a step that is
not. With `every` > 1 the rule is applied to the movement of several steps at once, which is exact for linear rules
whenever `sync` has just run and costs 1/every as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

UpdateRule = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]
"""Steps of a group of parameters -> the permitted steps, of the same shapes."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule and the parameters whose steps it judges together (a weight and its bias, say)."""

    parameters: tuple[nn.Parameter, ...]
    rule: UpdateRule


class Handle:
    """An attached set of guards: `sync` makes everything exact now, `detach` ends it."""

    def __init__(self, optimizer: torch.optim.Optimizer, guards: Sequence[Guard], every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}.")
        self._guards, self._every, self._waiting = list(guards), every, 0
        self._anchors = [tuple(p.detach().clone() for p in guard.parameters) for guard in self._guards]
        self._hook = optimizer.register_step_post_hook(self._after_step)

    def _after_step(self, *_: Any) -> None:
        self._waiting += 1
        if self._waiting >= self._every:
            self.sync()

    @torch.no_grad()
    def sync(self) -> None:
        """Replace the movement since the last sync by the permitted part of it."""
        if self._waiting:
            for guard, anchors in zip(self._guards, self._anchors, strict=True):
                moved = tuple(p.detach() - a for p, a in zip(guard.parameters, anchors, strict=True))
                for p, a, step in zip(guard.parameters, anchors, guard.rule(moved), strict=True):
                    p.copy_(a.add_(step))
        self._waiting = 0

    @torch.no_grad()
    def rebase(self) -> None:
        """Take the parameters as they are for permitted: they were set by something other than the optimizer."""
        for guard, anchors in zip(self._guards, self._anchors, strict=True):
            for p, a in zip(guard.parameters, anchors, strict=True):
                a.copy_(p)
        self._waiting = 0

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Inside, the parameters are as `sync` would leave them; afterwards, as they were."""
        kept = [tuple(p.detach().clone() for p in guard.parameters) for guard in self._guards]
        anchors, waiting = [tuple(a.clone() for a in group) for group in self._anchors], self._waiting
        self.sync()
        try:
            yield
        finally:
            self._anchors, self._waiting = anchors, waiting
            with torch.no_grad():
                for guard, values in zip(self._guards, kept, strict=True):
                    for p, value in zip(guard.parameters, values, strict=True):
                        p.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"anchors": [list(group) for group in self._anchors], "waiting": self._waiting}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for mine, theirs in zip(self._anchors, state["anchors"], strict=True):
            for a, kept in zip(mine, theirs, strict=True):
                a.copy_(kept)
        self._waiting = state["waiting"]

    def detach(self) -> None:
        """Sync and let go of the optimizer."""
        self.sync()
        self._hook.remove()


def attach(optimizer: torch.optim.Optimizer, guards: Sequence[Guard], every: int = 1) -> Handle:
    """Hold every step of `optimizer` to `guards`; works with each torch optimizer, through its own step hook."""
    return Handle(optimizer, guards, every)


def chain(*rules: UpdateRule) -> UpdateRule:
    """One rule after the other."""

    def chained(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        for rule in rules:
            steps = rule(steps)
        return steps

    return chained


def freeze(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The rule that permits nothing."""
    return tuple(torch.zeros_like(step) for step in steps)
