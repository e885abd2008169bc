"""A few centres that stand for many rows, found without random numbers. Shapes: N rows of D numbers, K centres.

Source: Lloyd, Least squares quantization in PCM (1982).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def centres_of(rows: Tensor, most: int, rounds: int = 10) -> Tensor:
    """(N, D) rows -> (K, D) centres, K = min(most, N). The same rows give the same centres."""
    count = min(most, len(rows))
    # Evenly spaced rows start the centres: no random numbers, so the same inputs give the same description.
    centres = rows[torch.linspace(0, len(rows) - 1, count, device=rows.device).long()].clone()
    for _ in range(rounds):
        nearest = torch.cdist(rows, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        sizes = torch.bincount(nearest, minlength=count)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return centres


def same_number(sets: Sequence[Tensor]) -> Tensor:
    """E sets of (k, D) rows, k varying -> (K, E, D): a set of fewer than K, the most, repeats its first row."""
    most = max(map(len, sets))
    return torch.stack([torch.cat([one, one[:1].expand(most - len(one), -1)]) for one in sets], dim=1)


def highest(rows: Tensor, sets: Tensor) -> Tensor:
    """(B, D) rows, (K, E, D) centres -> (B, E): row @ centre - |centre|² / 2 for the nearest of each set of K.

    One product for the first centres of all sets, one for the second: a thousand sets are not a thousand calls.
    """
    best = torch.addmm(-0.5 * sets[0].square().sum(1), rows, sets[0].T)
    for some in sets[1:]:
        torch.maximum(best, torch.addmm(-0.5 * some.square().sum(1), rows, some.T), out=best)
    return best
