"""Low-rank adapters: a layer bends to another lane while its own weights stand still.

y = W x + s B A x, where A has few rows and B is zero at first, so that a lane begins with the layer as it is. Source:
E. Hu et al., LoRA: low-rank adaptation of large language models (2021), equation 3; for a convolution A has the
layer's kernel and B is 1x1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.lanes import Lanes
from lifelong.optimizer import Optimizer

LONG, WIDE = math.sqrt(3.0), 4.0
"""s for plain gradient steps, and for optimizers that divide them by moments. A's rows have length 1/sqrt(3) at first:
with the first s, W moves in their span as it would by itself, and the rate that suits the body suits its adapters (with
4, momentum diverged). The others move each entry by their rate, however long the gradient is: few entries need more.
"""

PLACE = "adapters"
"""Where a layer keeps its adapters: `adapters.0.down` is a parameter of the layer that they bend."""

_OFTEN_BYPASSED = nn.modules.linear.NonDynamicallyQuantizableLinear
"""Attention's last layer: torch reads its weight without running the layer, so nothing would be added."""


@dataclass(frozen=True, slots=True)
class Bending:
    """How lanes bend a body. rank: rows of A, at most as many as a layer's weight can have; scale: s (alpha / r)."""

    rank: int
    scale: float

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.scale > 0:
            raise ValueError(f"rank must be at least 1 and scale positive, got rank={self.rank}, scale={self.scale}.")

    @staticmethod
    def under(optimizer: Optimizer, rank: int) -> Bending:
        """With the scale that suits an optimizer's steps."""
        return Bending(rank, LONG if optimizer.name == "sgd" else WIDE)


class LowRank(nn.Module):
    """What one lane adds to one layer."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, bending: Bending) -> None:
        super().__init__()
        self.scale = bending.scale
        weight = layer.weight
        outputs, width = len(weight), weight[0].numel()
        rank = min(bending.rank, outputs, width)
        self.down = nn.Parameter(torch.empty(rank, width, dtype=weight.dtype))
        self.up = nn.Parameter(torch.zeros(outputs, rank, dtype=weight.dtype))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def added(self, layer: nn.Module, inputs: Tensor) -> Tensor:
        """s B A x, for the layer's inputs x."""
        if not isinstance(layer, nn.Conv2d):
            return F.linear(F.linear(inputs, self.down), self.up).mul(self.scale)
        if layer.groups > 1:
            # A group sees a part of the inputs: no narrow layer lies between, but the weight's change is of low rank.
            wide: Tensor = layer._conv_forward(inputs, (self.up @ self.down).view_as(layer.weight), None)
            return wide.mul(self.scale)
        narrow = layer._conv_forward(inputs, self.down.view(-1, *layer.weight.shape[1:]), None)
        return F.conv2d(narrow, self.up[:, :, None, None]).mul(self.scale)


class Adapters(Lanes):
    """The adapters of one layer, by lane; it adds what the lane in use has to what the layer gives."""

    def bend(self, layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any], outputs: Tensor) -> Tensor | None:
        """The layer's hook: its outputs with the adapter's, or None, which leaves them as they are."""
        adapter = self.now
        if adapter is None:
            return None
        assert isinstance(adapter, LowRank)
        return outputs + adapter.added(layer, args[0] if args else named["input"])


def layers(part: nn.Module) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    """Every layer of the part that can be bent, by name."""
    for name, module in part.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and not isinstance(module, _OFTEN_BYPASSED):
            yield name, module


Born = Callable[[str, Callable[[], nn.Module]], nn.Module]


def adapt(part: nn.Module, lane: str, bending: Bending, born: Born) -> None:
    """Give this lane adapters in every layer that can be bent; `born(name, make)` makes one with its first weights."""
    for name, layer in layers(part):
        adapters = layer._modules.get(PLACE)
        if not isinstance(adapters, Adapters):
            adapters = Adapters().train(layer.training)
            layer.add_module(PLACE, adapters)
            layer.register_forward_hook(adapters.bend, with_kwargs=True)
        if lane not in adapters:
            adapters.add(lane, born(name, lambda layer=layer: LowRank(layer, bending)))  # type: ignore[misc]
