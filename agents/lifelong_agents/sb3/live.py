"""Everything in a model that training moves, as it lies in memory: copied often, so copied fast."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

Kept = tuple[list[Tensor], list[list[Tensor]]]
"""Copies of a model's networks, and for each optimizer of its moments."""


class Live:
    """The tensors of one model's networks (targets, too), of what it tunes beside them, and of its optimizers."""

    def __init__(self, model: BaseAlgorithm) -> None:
        names = model.get_parameters()
        self.optimizers: list[torch.optim.Optimizer] = [
            each for name in names if isinstance(each := attrgetter(name)(model), torch.optim.Optimizer)
        ]
        modules = [each for name in names if isinstance(each := attrgetter(name)(model), torch.nn.Module)]
        self._tensors: list[Tensor] = [t for module in modules for t in module.state_dict().values()]
        self._networks = len(self._tensors)
        self._tensors += [value.detach() for value in tuned(model).values()]
        self._versions: list[int] = []
        self._kept: Kept | None = None

    def kept(self) -> Kept:
        """A copy; the same one as the last time, if nothing has moved since."""
        versions = [t._version for t in self._tensors]
        if self._kept is None or versions != self._versions:
            moments = [[t.clone() for t in _moments(optimizer)] for optimizer in self.optimizers]
            self._kept, self._versions = ([t.clone() for t in self._tensors], moments), versions
        return self._kept

    @torch.no_grad()
    def put_back(self, kept: Kept) -> None:
        for mine, theirs in zip(self._tensors, kept[0], strict=True):
            mine.copy_(theirs)
        for optimizer, moments in zip(self.optimizers, kept[1], strict=True):
            if not moments:
                # It had not taken a step yet.
                optimizer.state.clear()
            for mine, theirs in zip(_moments(optimizer), moments, strict=True):
                mine.copy_(theirs)

    @torch.no_grad()
    def begin_as(self, other: Live) -> None:
        """The other's networks; what is tuned beside them, and moments, are of its world."""
        for mine, theirs in zip(self._tensors[: self._networks], other._tensors[: self._networks], strict=True):
            mine.copy_(theirs)

    def forget(self) -> None:
        """The model was loaded: what was kept is of another one."""
        self._kept = None


def tuned(model: BaseAlgorithm) -> dict[str, Tensor]:
    """What algorithms learn beside their networks: SAC's entropy coefficient."""
    value: Any = getattr(model, "log_ent_coef", None)
    return {} if value is None else {"log_ent_coef": value}


def _moments(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [t for state in optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
