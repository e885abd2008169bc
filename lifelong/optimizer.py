"""Which torch optimizer an expert uses, as plain settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

Name = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "radam"]

LARGEST = 1e30
"""Of a rate, so that a step that is made with it has room in float32."""


@dataclass(frozen=True, slots=True)
class Optimizer:
    """A torch optimizer by name. `momentum` belongs to sgd and rmsprop; weight decay is decoupled in adamw only."""

    name: Name = "adam"
    lr: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise ValueError(f"name must be one of {', '.join(get_args(Name))}, got {self.name!r}.")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got {self.lr}.")
        if max(self.lr, self.weight_decay) > LARGEST:
            raise ValueError(
                f"lr and weight_decay must be {LARGEST:g} at most, got lr={self.lr}, weight_decay={self.weight_decay}."
            )
        if self.weight_decay < 0 or not 0 <= self.momentum < 1:
            raise ValueError(
                f"weight_decay must not be negative and momentum must be in [0, 1), "
                f"got weight_decay={self.weight_decay}, momentum={self.momentum}."
            )
        if self.momentum and self.name not in ("sgd", "rmsprop"):
            raise ValueError(f"momentum is an option of sgd and rmsprop; {self.name} has none: leave it out.")

    def over(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimizer over these parameters."""
        params = list(parameters)
        decay = self.weight_decay
        match self.name:
            case "sgd":
                return torch.optim.SGD(params, lr=self.lr, momentum=self.momentum, weight_decay=decay)
            case "rmsprop":
                return torch.optim.RMSprop(params, lr=self.lr, momentum=self.momentum, weight_decay=decay)
            case "adamw":
                return torch.optim.AdamW(params, lr=self.lr, weight_decay=decay)
            case "adagrad":
                return torch.optim.Adagrad(params, lr=self.lr, weight_decay=decay)
            case "nadam":
                return torch.optim.NAdam(params, lr=self.lr, weight_decay=decay)
            case "radam":
                return torch.optim.RAdam(params, lr=self.lr, weight_decay=decay)
            case _:
                return torch.optim.Adam(params, lr=self.lr, weight_decay=decay)
