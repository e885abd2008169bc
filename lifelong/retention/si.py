"""Synaptic intelligence (Zenke, Poole and Ganguli 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.experience import Batch
from lifelong.retention.method import Keeper, Silent, Stored, positive
from lifelong.retention.model import Model, bytes_of, detached
from lifelong.retention.needs import Needs
from lifelong.retention.quadratic import Quadratic

Scale = Literal["loss", "path"]


@dataclass(frozen=True, slots=True)
class Si:
    """Holds each parameter where it was, by how much its way through old tasks lowered their loss (Zenke et al. 2017).

    The penalty is strength * sum_i O_i (p_i - p*_i)^2, with O_i the sum over tasks of w_i / (d_i^2 + damping) (eq. 4,
    5): w_i is what the parameter's way has won (a sum of gradient times movement), d_i how far it went. scale: "path"
    takes w as it is summed up, as the paper does. That counts the noise of batches as progress: trained in batches of
    10, a network has won 5 to 9 times what it wins in batches of 128. "loss" scales the w of a task so that their
    sum is what its loss really fell by, which it is where steps are small and without noise (eq. 3).
    """

    strength: float = 10.0
    damping: float = 0.1
    scale: Scale = "loss"

    def __post_init__(self) -> None:
        if not positive(self.strength, self.damping):
            raise ValueError(
                f"strength and damping must be positive, got strength={self.strength}, damping={self.damping}."
            )
        if self.scale not in get_args(Scale):
            raise ValueError(f"scale must be one of {', '.join(get_args(Scale))}, got {self.scale!r}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="found")

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


class _Keeper(Silent):
    def __init__(self, settings: Si, model: Model) -> None:
        self._settings, self._model = settings, model
        self.penalty = Quadratic()
        # Values as the task began and before the latest step, with its gradients; what was won so far.
        self._start: dict[str, Tensor] = {}
        self._before: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}
        self._won: dict[str, Tensor] = {}

    def meet(self) -> None:
        for name, value in detached(self._model.named()).items():
            if name not in self._start:
                self._start[name], self._before[name] = value, value.clone()
                self._won[name], self._gradients[name] = torch.zeros_like(value), torch.zeros_like(value)

    def read(self) -> None:
        named = self._model.named()
        self._settle(named)
        live = [(self._gradients[name], p.grad) for name, p in named.items() if p.grad is not None]
        torch._foreach_copy_([kept for kept, _ in live], [grad for _, grad in live])
        for kept, _ in live:
            # A GradScaler skips the step of such gradients: nothing is won where nothing moves.
            kept.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)

    def bend(self) -> None:
        self.penalty.pull(self._model.named(), 2.0 * self._settings.strength)

    def curvature(self) -> tuple[dict[str, Tensor], float]:
        return self.penalty.weights, 2.0 * self._settings.strength

    def halt(self) -> None:
        self._settle(self._model.named())

    @torch.no_grad()
    def _settle(self, named: dict[str, nn.Parameter]) -> None:
        """Count the movement since the latest gradients, whatever it was that moved the parameters."""
        values, before = [p.detach() for p in named.values()], [self._before[name] for name in named]
        moved = torch._foreach_sub(values, before)
        gradients = [self._gradients[name] for name in named]
        torch._foreach_addcmul_([self._won[name] for name in named], gradients, moved, -1.0)
        torch._foreach_copy_(before, values)
        torch._foreach_zero_(gradients)

    @torch.no_grad()
    def consolidate(self, batches: Sequence[Batch]) -> None:
        named = self._model.named()
        # What the steps came to, and what the network is: another method may have moved it since.
        reached, values = {name: self._before[name] for name in named}, detached(named)
        # A way that raised the loss tells nothing of importance.
        won = {name: self._won[name].clamp_min(0.0) for name in named}
        scale = 1.0
        if self._settings.scale == "loss":
            counted = float(torch.stack([w.sum() for w in won.values()]).sum())
            fell = self._loss(self._start, batches) - self._loss(reached, batches)
            scale = max(fell, 0.0) / counted if counted > 0 else 0.0
        far = {name: (end - self._start[name]).square() + self._settings.damping for name, end in reached.items()}
        self.penalty.move({name: scale * w / far[name] for name, w in won.items()}, values, keep=1.0)
        for name, value in values.items():
            self._won[name].zero_()
            self._start[name].copy_(value)
            self._before[name].copy_(value)

    def _loss(self, values: dict[str, Tensor], batches: Sequence[Batch]) -> float:
        """The mean loss over these batches of the network with these values."""
        model = self._model
        with model.evaluating():
            losses = [
                b.contract.objective.loss(
                    functional_call(model.module, values, (b.inputs, *model.extras(b.contract, b.task))), b.targets
                )
                for b in batches
            ]
        return float(torch.stack(losses).mean())

    def stored(self) -> Stored:
        return Stored(0, self.penalty.bytes() + bytes_of([*self._start.values(), *self.tensors()]))

    def tensors(self) -> list[Tensor]:
        return [*self._before.values(), *self._won.values(), *self._gradients.values()]

    def state_dict(self) -> dict[str, Any]:
        ways = {"start": self._start, "before": self._before, "won": self._won, "gradients": self._gradients}
        # Steps change these tensors in place.
        copies = {key: {name: t.clone() for name, t in kept.items()} for key, kept in ways.items()}
        return {"penalty": self.penalty.state_dict(), **copies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.penalty.load_state_dict(state["penalty"])
        for name, kept in (
            ("start", self._start),
            ("before", self._before),
            ("won", self._won),
            ("gradients", self._gradients),
        ):
            kept.clear()
            kept |= {key: value.clone() for key, value in state[name].items()}
