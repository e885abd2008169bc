"""One use of a weight in a forward pass: which linear map it is, and which rows it multiplied.

Every supported call (linear, matmul, convolutions of any dimension, embedding lookups) is brought to one form: the
weight as G matrices of (O, D), its inputs as (G, N, D) rows. Shapes: N rows, G groups, O outputs, D inputs per group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a weight tensor is G matrices of (O, D); `transposed`: it is stored as (D, O)."""

    groups: int
    outputs: int
    inputs: int
    transposed: bool = False
    lookup: bool = False

    def has_grown_to(self, other: Geometry) -> bool:
        """Whether the other one has more outputs, and is the same in all else, as heads grow."""
        plain = self.groups == 1 and not self.transposed and not self.lookup
        return plain and other.outputs > self.outputs and other == replace(self, outputs=other.outputs)

    def matrix(self, tensor: Tensor) -> Tensor:
        """A tensor of the weight's shape -> (G, O, D); a view wherever its strides allow one."""
        if self.transposed:
            return tensor.reshape(self.groups, self.inputs, self.outputs).transpose(1, 2)
        return tensor.reshape(self.groups, self.outputs, self.inputs)

    def tensor(self, matrix: Tensor, like: Tensor) -> Tensor:
        """(G, O, D) -> the shape of the weight."""
        return (matrix.transpose(1, 2) if self.transposed else matrix).reshape(like.shape)


@dataclass(frozen=True, slots=True)
class Patches:
    """How a convolution cuts its input: kernel, stride, zero padding on both sides of each dimension, dilation."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def windows(self, images: Tensor) -> Tensor:
        """(B, C, *space) -> (B, *positions, C, *kernel), without copying more than the padding needs."""
        flat = [side for pair in reversed(self.padding) for side in pair]
        views = F.pad(images, flat) if any(flat) else images
        for i, (kernel, stride, dilation) in enumerate(zip(self.kernel, self.stride, self.dilation, strict=True)):
            views = views.unfold(2 + i, dilation * (kernel - 1) + 1, stride)
        dims = len(self.kernel)
        for i, step in enumerate(self.dilation):
            views = views[(slice(None),) * (2 + dims + i) + (slice(None, None, step),)]
        return views.movedim(1, 1 + dims)


@dataclass(frozen=True, slots=True)
class Use:
    """What one call gave to one weight. For a lookup, `inputs` are the indices of the rows that it took.

    channels: the map acts on the second dimension of (B, C, *space), as in a transposed convolution.
    """

    geometry: Geometry
    inputs: Tensor
    has_bias: bool
    patches: Patches | None = None
    channels: bool = False

    def count(self) -> int:
        """Number of rows, N."""
        if self.patches is not None:
            images = self.inputs.shape[0]
            for size, k, s, (before, after), d in zip(
                self.inputs.shape[2:],
                self.patches.kernel,
                self.patches.stride,
                self.patches.padding,
                self.patches.dilation,
                strict=True,
            ):
                images *= (size + before + after - d * (k - 1) - 1) // s + 1
            return images
        return self.inputs.numel() // (self.geometry.groups * self.geometry.inputs)

    def rows(self, chosen: Tensor | None = None, constant: bool = False) -> Tensor:
        """(G, N, D) rows that the weight multiplied, or those with the `chosen` numbers alone.

        constant: append the input of a bias, which is one where the call had one and zero where it had none.
        """
        rows = _full(self._rows(self.inputs, chosen))
        return F.pad(rows, (0, 1), value=float(self.has_bias)) if constant else rows

    def mean_rows(self, constant: bool = False) -> Tensor:
        """(G, N, D) rows of the mean over the batch, as Adam-NSCL and OWM collect them."""
        groups = self.geometry.groups
        whole = _full(self.inputs)
        stacked = groups > 1 and self.patches is None and not self.channels
        mean = whole.mean(dim=1, keepdim=True) if stacked else whole.mean(dim=0, keepdim=True)
        rows = self._rows(mean, None)
        return F.pad(rows, (0, 1), value=float(self.has_bias)) if constant else rows

    def _rows(self, inputs: Tensor, chosen: Tensor | None) -> Tensor:
        groups, size = self.geometry.groups, self.geometry.inputs
        if self.patches is not None:
            windows = self.patches.windows(inputs)
            dims = 1 + len(self.patches.kernel)
            if chosen is None:
                flat = windows.flatten(0, dims - 1)
            else:
                places = torch.unravel_index(chosen.to(inputs.device), windows.shape[:dims])
                flat = windows[places]
            return flat.reshape(len(flat), groups, size).transpose(0, 1)
        if self.channels:
            flat = inputs.movedim(1, -1).reshape(-1, groups, size).transpose(0, 1)
        elif groups > 1:
            flat = inputs.reshape(groups, -1, size)
        else:
            flat = inputs.reshape(1, -1, size)
        return flat if chosen is None else flat[:, chosen.to(inputs.device)]


def fitted(weight: str, geometry: Geometry, shape: Sequence[int]) -> Geometry:
    """The geometry of a weight that may have got more outputs, as heads do; ValueError where it has another shape."""
    if math.prod(shape) == geometry.groups * geometry.outputs * geometry.inputs:
        return geometry
    if geometry.groups > 1 or geometry.lookup or geometry.transposed or math.prod(shape[1:]) != geometry.inputs:
        was = f"{geometry.groups} x " if geometry.groups > 1 else ""
        raise ValueError(
            f"{weight} was consolidated as {was}{geometry.outputs} x {geometry.inputs} numbers (outputs x inputs) and "
            f"has the shape {tuple(shape)} now: its inputs are others, so what was kept of it means nothing."
        )
    return replace(geometry, outputs=shape[0])


@dataclass(frozen=True, slots=True)
class Call:
    """A use of `weight` (a parameter or a view of one), with the bias that was added to its result."""

    weight: Tensor
    bias: Tensor | None
    use: Use


Known = Callable[[Tensor], bool]
Reader = Callable[[dict[str, Any], Known], Iterator[Call]]
"""The arguments of one call, by name, and which tensors are parameters -> the uses that it makes of them."""


def _full(inputs: Tensor) -> Tensor:
    """At least in single precision: half precision is for models, not for what they must keep."""
    return inputs if inputs.dtype == torch.float64 else inputs.float()


def conv_padding(
    padding: str | int | Sequence[int], kernel: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """torch's padding argument as zeros before and after, per dimension."""
    if isinstance(padding, str):
        if padding == "valid":
            return tuple((0, 0) for _ in kernel)
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((p, p) for p in each(padding, len(kernel)))


def each(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """An int or a sequence of one or `dims` ints -> `dims` ints."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dims if len(values) == 1 else values
