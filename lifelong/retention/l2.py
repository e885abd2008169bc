"""Regularisation towards where the network began: plasticity that lasts (Kumar et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lifelong.retention.method import Keeper, Silent, Stored, positive
from lifelong.retention.model import Model, bytes_of, detached
from lifelong.retention.needs import Needs

Towards = Literal["start", "zero"]


@dataclass(frozen=True, slots=True)
class L2:
    """Draws every parameter to its first value, or to zero: strength * |p - p_0|^2 (Kumar et al. 2023, eq. 1).

    What it keeps is not old tasks but the ability to learn new ones. towards: "start" is regenerative regularisation,
    which leaves a network as ready to learn as a new one; "zero" is plain L2 regularisation.
    """

    strength: float = 1e-3
    towards: Towards = "start"

    def __post_init__(self) -> None:
        if not positive(self.strength) or self.towards not in get_args(Towards):
            raise ValueError(
                f"strength must be positive and towards one of {', '.join(get_args(Towards))}, got {self.strength} and "
                f"{self.towards!r}."
            )

    @property
    def needs(self) -> Needs:
        return Needs()

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


class _Keeper(Silent):
    def __init__(self, settings: L2, model: Model) -> None:
        self._settings, self._model = settings, model
        self._first: dict[str, Tensor] = {}

    def meet(self) -> None:
        if self._settings.towards == "start":
            self._first = detached(self._model.named()) | self._first

    @torch.no_grad()
    def bend(self) -> None:
        live = [(name, p, p.grad) for name, p in self._model.named().items() if p.grad is not None]
        grads, values = [g for *_, g in live if g is not None], [p.detach() for _, p, _ in live]
        if self._settings.towards == "start":
            values = list(torch._foreach_sub(values, [self._first[name] for name, *_ in live]))
        torch._foreach_add_(grads, values, alpha=2.0 * self._settings.strength)

    def stored(self) -> Stored:
        return Stored(0, bytes_of(self._first.values()))

    def state_dict(self) -> dict[str, Any]:
        return {"first": dict(self._first)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._first = {name: value.clone() for name, value in state["first"].items()}
