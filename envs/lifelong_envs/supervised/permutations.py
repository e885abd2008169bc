"""Permutations that make tasks out of one data set: the identity first, then random ones, none twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import factorial

import torch
from torch import Tensor

from lifelong_envs.supervised.seeding import generator


def permutations(size: int, count: int, seed: int) -> list[Tensor]:
    """`count` different permutations (size,) of 0..size-1, the first being the identity.

    The n-th depends on the seed and n alone. Raises ValueError where there are not so many.
    """
    if size <= 12 and count > factorial(size):
        raise ValueError(f"{size} values have {factorial(size)} orders, that is not enough for {count} tasks.")
    return list(islice(_distinct(size, seed), count))


def derangements(size: int, count: int, seed: int) -> list[Tensor]:
    """`count` different permutations (size,), first the identity; all others leave nothing in its place.

    The n-th depends on the seed and n alone. Raises ValueError where there are not so many.
    """
    if size <= 12 and count - 1 > _derangement_count(size):
        raise ValueError(
            f"{size} classes can be renamed in {_derangement_count(size)} way(s) that move each of them, "
            f"that is not enough for {count} tasks."
        )
    unmoved = torch.arange(size)
    moving = (p for n, p in enumerate(_distinct(size, seed)) if n == 0 or bool((p != unmoved).all()))
    return list(islice(moving, count))


def _distinct(size: int, seed: int) -> Iterator[Tensor]:
    draw = generator(seed, "permutations", size)
    permutation = torch.arange(size)
    seen: set[bytes] = set()
    while True:
        key = permutation.numpy().tobytes()
        if key not in seen:
            seen.add(key)
            yield permutation
        permutation = torch.randperm(size, generator=draw)


def _derangement_count(size: int) -> int:
    count = 1
    for n in range(1, size + 1):
        count = n * count + (-1) ** n
    return count
