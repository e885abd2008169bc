"""Springs that hold parameters where they were, each as strong as its parameter is important.

The sum of one penalty a task, sum_t F_t (p - p_t)^2 / 2, is one quadratic again: its weight is sum_t F_t and its
centre the weighted mean of the p_t. So all tasks together take two tensors for each parameter, however many they are,
and lose nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lifelong.retention.model import bytes_of

Named = dict[str, nn.Parameter]


class Quadratic:
    """The penalty strength / 2 * sum_i weight_i (p_i - centre_i)^2, up to a constant, on parameters by name."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}
        self.centres: dict[str, Tensor] = {}
        # Of parameters without a gradient: the version in which one was found at rest.
        self._rest: dict[str, tuple[int, int]] = {}

    @torch.no_grad()
    def add(self, importance: dict[str, Tensor], values: dict[str, Tensor]) -> None:
        """One more penalty beside those that there are (Kirkpatrick et al. 2017, eq. 3, one for each task)."""
        self._rest.clear()
        for name, new in importance.items():
            if name not in self.weights:
                self.weights[name], self.centres[name] = new.clone(), values[name].clone()
                continue
            weight, centre = self.weights[name], self.centres[name]
            weight += new
            # Where nothing is important the centre means nothing, and must stay a number.
            centre += torch.where(weight > 0, new / weight.clamp_min(1e-30), torch.zeros_like(new)) * (
                values[name] - centre
            )

    @torch.no_grad()
    def move(self, importance: dict[str, Tensor], values: dict[str, Tensor], keep: float) -> None:
        """One penalty about the latest values; of the older importance `keep` is left (Schwarz et al. 2018, eq. 9)."""
        self._rest.clear()
        for name, new in importance.items():
            old = self.weights.get(name)
            self.weights[name] = new.clone() if old is None else old.mul_(keep).add_(new)
            self.centres[name] = values[name].clone()

    @torch.no_grad()
    def pull(self, named: Named, strength: float) -> None:
        """Add the penalty's gradient to those of the parameters.

        Who has no gradient and is not pulled stays without one: with a gradient of zero, decay and momentum would move
        what this step is not about, such as the heads of other tasks.
        """
        held = [(p, name) for name, p in named.items() if name in self.weights]
        held = [(p, name) for p, name in held if not self._rests(p, name)]
        if not held:
            return
        for p, _ in held:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        away = torch._foreach_sub([p.detach() for p, _ in held], [self.centres[name] for _, name in held])
        grads = [p.grad for p, _ in held if p.grad is not None]
        torch._foreach_addcmul_(grads, away, [self.weights[name] for _, name in held], strength)

    def _rests(self, p: nn.Parameter, name: str) -> bool:
        """Whether a parameter has no gradient and nothing pulls it.

        To look means to wait for the device: done only where it may have moved since, as fused steps do without a new
        version.
        """
        if p.grad is not None:
            self._rest.pop(name, None)
            return False
        version = id(p), p._version
        if self._rest.get(name) == version:
            return True
        rests = not bool((self.weights[name] * (p.detach() - self.centres[name])).any())
        if rests:
            self._rest[name] = version
        return rests

    @torch.no_grad()
    def value(self, named: Named, strength: float) -> float:
        """The penalty, up to a constant."""
        terms = [
            (w * (named[n].detach() - self.centres[n]).square()).sum() for n, w in self.weights.items() if n in named
        ]
        return 0.5 * strength * float(torch.stack(terms).sum()) if terms else 0.0

    def bytes(self) -> int:
        return bytes_of([*self.weights.values(), *self.centres.values()])

    def state_dict(self) -> dict[str, Any]:
        # What comes after changes these tensors in place.
        kept = {"weights": self.weights, "centres": self.centres}
        return {key: {name: t.clone() for name, t in named.items()} for key, named in kept.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # Taken over as they are, they would be changed together with whoever else holds them.
        self.weights = {name: t.clone() for name, t in state["weights"].items()}
        self.centres = {name: t.clone() for name, t in state["centres"].items()}
        self._rest.clear()
