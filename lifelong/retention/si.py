"""Synaptic intelligence (Zenke, Poole and Ganguli 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.retention.method import Keeper, Silent, Stored
from lifelong.retention.model import Model, bytes_of, detached
from lifelong.retention.quadratic import Quadratic

Path = Literal["next", "same"]


@dataclass(frozen=True, slots=True)
class Si:
    """Holds each parameter where it was, by how much its way through old tasks lowered their loss (Zenke et al. 2017).

    The penalty is strength * sum_i O_i (p_i - p*_i)^2, with O_i the sum over tasks of w_i / (d_i^2 + damping) (eq. 4,
    5): w_i is what the parameter's way has lowered the loss by (a sum of gradient times movement), d_i how far it
    went. path: whose gradient meets a movement. "same" is the paper's: that of the batch that caused it, whose noise
    is then counted as progress, the more the smaller the batch; "next" is that of the batch after it, which knows
    nothing of that noise.
    """

    strength: float = 1.0
    damping: float = 0.1
    path: Path = "next"

    def __post_init__(self) -> None:
        if self.strength <= 0 or self.damping <= 0:
            raise ValueError(
                f"strength and damping must be positive, got strength={self.strength}, damping={self.damping}."
            )
        if self.path not in get_args(Path):
            raise ValueError(f"path must be one of {', '.join(get_args(Path))}, got {self.path!r}.")

    @property
    def told(self) -> bool:
        return True

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


class _Keeper(Silent):
    def __init__(self, settings: Si, model: Model) -> None:
        self._settings, self._model = settings, model
        self.penalty = Quadratic()
        self._start: dict[str, Tensor] = {}
        # Values before the movement that has not met its gradient yet, what was won so far, and the last gradients.
        self._before: dict[str, Tensor] = {}
        self._won: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}

    def meet(self) -> None:
        for name, value in detached(self._model.named()).items():
            if name not in self._start:
                self._start[name], self._before[name] = value, value.clone()
                self._won[name], self._gradients[name] = torch.zeros_like(value), torch.zeros_like(value)

    @torch.no_grad()
    def bend(self) -> None:
        named = self._model.named()
        live = [(name, p, p.grad) for name, p in named.items() if name in self._before]
        values = [p.detach() for _, p, _ in live]
        before, won = [self._before[n] for n, *_ in live], [self._won[n] for n, *_ in live]
        moved = torch._foreach_sub(values, before)
        fresh = [torch.zeros_like(p) if g is None else g for _, p, g in live]
        same = self._settings.path == "same"
        met = [self._gradients[n] for n, *_ in live] if same else fresh
        torch._foreach_addcmul_(won, met, moved, -1.0)
        torch._foreach_copy_(before, values)
        if same:
            torch._foreach_copy_(met, fresh)
        self.penalty.pull(named, 2.0 * self._settings.strength)

    @torch.no_grad()
    def consolidate(self, batches: Sequence[Batch]) -> None:
        values = detached(self._model.named())
        importance = {}
        for name, value in values.items():
            far = (value - self._start[name]).square() + self._settings.damping
            # A way that raised the loss tells nothing of importance.
            importance[name] = self._won[name].clamp_min(0.0) / far
            self._won[name].zero_()
            self._start[name].copy_(value)
            self._before[name].copy_(value)
        self.penalty.move(importance, values, keep=1.0)

    def stored(self) -> Stored:
        return Stored(0, self.penalty.bytes() + bytes_of([*self._start.values(), *self.tensors()]))

    def tensors(self) -> list[Tensor]:
        return [*self._before.values(), *self._won.values(), *self._gradients.values()]

    def state_dict(self) -> dict[str, Any]:
        ways = {"start": self._start, "before": self._before, "won": self._won, "gradients": self._gradients}
        return {"penalty": self.penalty.state_dict(), **{name: dict(kept) for name, kept in ways.items()}}

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
