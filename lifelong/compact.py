"""Convolutions that see much with few numbers: for experts and selectors that must be small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn


@dataclass(frozen=True, slots=True)
class Compact:
    """Convolutions that halve the image each time, and no hidden layer: every place of the last map speaks to the head.

    The first is 5x5 with stride 2, the others are 3x3. shrink: those halve by max-pooling, or by their own stride
    (cheaper, coarser). norm: batch normalisation after each, or none. side: places of the last map along each axis,
    reached by max-pooling from any size of image. With the defaults an image of 1x28x28 and ten outputs it has 23,354
    parameters and 192 statistics.
    """

    channels: tuple[int, ...] = (16, 32, 48)
    shrink: Literal["pool", "stride"] = "pool"
    norm: Literal["batch", "none"] = "batch"
    side: int = 3

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1 or self.side < 1:
            raise ValueError(
                f"Compact needs at least two numbers of channels and a side, all positive, got "
                f"channels={list(self.channels)}, side={self.side}."
            )
        if self.shrink not in ("pool", "stride") or self.norm not in ("batch", "none"):
            raise ValueError(
                f"shrink must be pool or stride and norm batch or none, got shrink={self.shrink!r}, norm={self.norm!r}."
            )

    def _block(self, before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
        if self.norm == "none":
            return [nn.Conv2d(before, after, kernel, stride, kernel // 2), nn.ReLU()]
        conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU()]

    def encoder(self, input_shape: tuple[int, ...]) -> nn.Module:
        if len(input_shape) != 3:
            raise ValueError(f"Compact needs images of shape (channels, height, width), got {input_shape}: take Mlp.")
        return nn.Sequential(*self._block(input_shape[0], self.channels[0], 5, 2))

    def trunk(self) -> nn.Module:
        layers: list[nn.Module] = []
        pairs = list(zip(self.channels[:-1], self.channels[1:], strict=True))
        for number, (before, after) in enumerate(pairs):
            layers += self._block(before, after, 3, 2 if self.shrink == "stride" else 1)
            if self.shrink == "pool" and number < len(pairs) - 1:
                layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(self.side), nn.Flatten())

    def head(self, outputs: int) -> nn.Module:
        return nn.Linear(self.channels[-1] * self.side**2, outputs)
