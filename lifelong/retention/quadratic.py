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

    @torch.no_grad()
    def add(self, importance: dict[str, Tensor], values: dict[str, Tensor]) -> None:
        """One more penalty beside those that there are (Kirkpatrick et al. 2017, eq. 3, one for each task)."""
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
        for name, new in importance.items():
            old = self.weights.get(name)
            self.weights[name] = new.clone() if old is None else old.mul_(keep).add_(new)
            self.centres[name] = values[name].clone()

    @torch.no_grad()
    def pull(self, named: Named, strength: float) -> None:
        """Add the penalty's gradient to those of the parameters."""
        held = [(p, name) for name, p in named.items() if name in self.weights]
        if not held:
            return
        for p, _ in held:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        away = torch._foreach_sub([p.detach() for p, _ in held], [self.centres[name] for _, name in held])
        grads = [p.grad for p, _ in held if p.grad is not None]
        torch._foreach_addcmul_(grads, away, [self.weights[name] for _, name in held], strength)

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
        return {"weights": dict(self.weights), "centres": dict(self.centres)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # Taken over as they are, they would be changed together with whoever else holds them.
        self.weights = {name: t.clone() for name, t in state["weights"].items()}
        self.centres = {name: t.clone() for name, t in state["centres"].items()}
