"""A few fixed random directions in which inputs of any size are looked at: distances survive, memory and time shrink.

Shapes: D numbers of an input, Q directions. Source: Johnson & Lindenstrauss (1984).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=16)
def directions(numbers: int, most: int, seed: int, device: torch.device) -> Tensor:
    """(D, Q) orthonormal columns, Q = min(D, most): the same for the same seed, whoever asks. Read only.

    Inputs of no more numbers than that are left as they are: there is nothing to gain.
    """
    if numbers <= most:
        return torch.eye(numbers, device=device)
    generator = torch.Generator().manual_seed(seed)
    basis: Tensor = torch.linalg.qr(torch.randn(numbers, most, generator=generator)).Q
    return basis.contiguous().to(device)


def projected(inputs: Tensor, most: int, seed: int) -> Tensor:
    """(B, ...) inputs -> (B, Q) float32."""
    rows = inputs.flatten(1).to(torch.float32)
    return rows @ directions(rows.shape[1], most, seed, rows.device)
