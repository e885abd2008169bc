"""Networks made of three parts: an encoder for each kind of input, a trunk, and heads that are not shared by accident.

A `Network` is a recipe (frozen settings); `lifelong.assembly` grows the living module from it. Shapes: B samples,
F features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

from torch import nn

Norm = Literal["group", "batch"]


@runtime_checkable
class Network(Protocol):
    """A recipe for the parts of a network. A user's own torch modules plug in here."""

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        """(B, *input_shape) -> whatever the trunk takes; the same for every input shape."""
        ...

    def trunk(self) -> nn.Module:
        """What the encoder gives -> (B, F)."""
        ...

    def head(self, outputs: int) -> nn.Module:
        """(B, F) -> (B, outputs)."""
        ...


@dataclass(frozen=True, slots=True)
class Mlp:
    """Fully connected ReLU layers; the first one is the encoder, so inputs of any shape meet in the trunk."""

    hidden: tuple[int, ...] = (100, 100)
    bias: bool = True

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must list at least one positive width, got {list(self.hidden)}.")

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        first = nn.Linear(math.prod(input_shape), self.hidden[0], bias=self.bias)
        return nn.Sequential(nn.Flatten(), first, nn.ReLU())

    def trunk(self) -> nn.Module:
        layers: list[nn.Module] = []
        for narrow, wide in zip(self.hidden[:-1], self.hidden[1:], strict=True):
            layers += [nn.Linear(narrow, wide, bias=self.bias), nn.ReLU()]
        return nn.Sequential(*layers)

    def head(self, outputs: int) -> nn.Module:
        return nn.Linear(self.hidden[-1], outputs, bias=self.bias)


@dataclass(frozen=True, slots=True)
class Cnn:
    """3x3 convolutions with a norm, halving the image after each; global average pooling; one hidden layer.

    The first convolution is the encoder, so images with one and three channels and of any size meet in the trunk.
    norm: group (GroupNorm) or batch (BatchNorm, of which every expert has its own where they share the rest).
    """

    channels: tuple[int, ...] = (32, 64)
    hidden: int = 128
    norm: Norm = "group"

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.hidden < 1:
            raise ValueError(f"channels and hidden must be positive, got {list(self.channels)} and {self.hidden}.")
        if self.norm not in get_args(Norm):
            raise ValueError(f"norm must be one of {', '.join(get_args(Norm))}, got {self.norm!r}.")

    def _block(self, before: int, after: int) -> list[nn.Module]:
        norm = nn.BatchNorm2d(after) if self.norm == "batch" else nn.GroupNorm(math.gcd(8, after), after)
        return [nn.Conv2d(before, after, 3, padding=1), norm, nn.ReLU()]

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        if len(input_shape) != 3:
            raise ValueError(
                f"Cnn needs inputs of shape (channels, height, width), got {input_shape}: use Mlp for those."
            )
        return nn.Sequential(*self._block(input_shape[0], self.channels[0]))

    def trunk(self) -> nn.Module:
        layers: list[nn.Module] = [nn.MaxPool2d(2)]
        for before, after in zip(self.channels[:-1], self.channels[1:], strict=True):
            layers += [*self._block(before, after), nn.MaxPool2d(2)]
        layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * self.channels[-1], self.hidden), nn.ReLU()]
        return nn.Sequential(*layers)

    def head(self, outputs: int) -> nn.Module:
        return nn.Linear(self.hidden, outputs)
