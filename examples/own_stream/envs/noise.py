"""Noise that the user's worlds share."""

from __future__ import annotations

import torch
from torch import Tensor


def shaken(inputs: Tensor, generator: torch.Generator, spread: float = 0.03) -> Tensor:
    """The same points, each moved a little; the shape stays."""
    return inputs + spread * torch.randn(inputs.shape, generator=generator)
