"""Penalties that are steeper than a step is long: the whole step is taken implicitly.

A step p - lr (g + k (p - c)) on a penalty of curvature k and centre c overshoots where lr k > 1 and runs away where
lr k > 2, which is a matter of the rate and not of the penalty. The proximal step, argmin_q g q + k/2 (q - c)^2 +
(q - p)^2 / (2 lr), is p - lr (g + k (p - c)) / (1 + lr k) (Parikh and Boyd 2014, sec. 4.2). So it is enough to divide
the gradients by 1 + lr k: where the two forces hold each other nothing changes, and no rate and no strength runs away.
Optimizers that divide by moments (Adam) cancel the factor, and need none: the length of their steps is bounded.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from lifelong.retention.method import Curved
from lifelong.retention.model import bytes_of
from lifelong.retention.quadratic import Named


class Implicit:
    """Divides gradients by 1 + rate * curvature, all penalties together. Divisors are kept from step to step."""

    def __init__(self, penalties: Sequence[Curved]) -> None:
        self._penalties = penalties
        self._divisors: dict[str, Tensor] = {}
        self._of: tuple[object, ...] | None = None

    def forget(self) -> None:
        """The penalties have changed."""
        self._divisors, self._of = {}, None

    @torch.no_grad()
    def divide(self, named: Named, optimizer: torch.optim.Optimizer) -> None:
        """All terms of the gradients are there. Parameters that the optimizer does not have are left alone."""
        if not self._penalties:
            return
        rates = tuple(group["lr"] for group in optimizer.param_groups)
        # A rate that is a tensor may change in place, and on a GPU cannot be looked at without waiting for it.
        known = None if any(isinstance(rate, Tensor) for rate in rates) else (weakref.ref(optimizer), *rates)
        if known is None or known != self._of:
            self._divisors, self._of = self._made(named, optimizer), known
        live = [(p.grad, self._divisors[name]) for name, p in named.items() if name in self._divisors]
        there = [(grad, divisor) for grad, divisor in live if grad is not None]
        if there:
            torch._foreach_div_([grad for grad, _ in there], [divisor for _, divisor in there])

    def _made(self, named: Named, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        made: dict[str, Tensor] = {}
        for penalty in self._penalties:
            weights, strength = penalty.curvature()
            for name, weight in weights.items():
                if name in named and id(named[name]) in rates:
                    steep = weight * strength * rates[id(named[name])]
                    made[name] = made[name] + steep if name in made else steep + 1.0
        return made

    def bytes(self) -> int:
        """What the divisors take, also between the end of a task and the next step, which makes them."""
        held: dict[str, Tensor] = {}
        for penalty in self._penalties:
            held |= penalty.curvature()[0]
        return bytes_of(held.values())
