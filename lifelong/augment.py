"""Small random movements of images, so that few kept samples look like many."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Affine:
    """Turns, moves, scales and shears each image at random, uniformly up to the bounds on either side.

    degrees: of turning. shift: pixels along each axis. scale, shear: shares of the image. Bilinear; zeros come in from
    outside. Draws from torch's random state.
    """

    degrees: float = 12.0
    shift: float = 2.5
    scale: float = 0.12
    shear: float = 0.15

    def __post_init__(self) -> None:
        bounds = (self.degrees, self.shift, self.scale, self.shear)
        if min(bounds) < 0 or self.scale >= 1:
            raise ValueError(
                f"Affine needs degrees, shift and shear of at least 0 and scale in [0, 1), got degrees={self.degrees}, "
                f"shift={self.shift}, scale={self.scale}, shear={self.shear}."
            )

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape. Raises ValueError for anything but images."""
        if images.dim() != 4:
            raise ValueError(
                f"Affine moves images of shape (samples, channels, height, width), got {tuple(images.shape)}."
            )
        count, _, height, width = images.shape
        draws = 2.0 * torch.rand(5, count, device=images.device, dtype=images.dtype) - 1.0
        turn, scale = draws[0] * math.radians(self.degrees), 1.0 / (1.0 + draws[1] * self.scale)
        cos, sin = torch.cos(turn) * scale, torch.sin(turn) * scale
        # From places in the new image to places in the old one, both from -1 to 1 over the image.
        rows = [
            torch.stack([cos, draws[2] * self.shear - sin, draws[3] * self.shift * 2.0 / width], dim=1),
            torch.stack([sin, cos, draws[4] * self.shift * 2.0 / height], dim=1),
        ]
        grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)
