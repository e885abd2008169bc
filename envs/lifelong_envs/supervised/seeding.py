"""Random numbers as a function of a place: the same seed and place give the same draws, whatever came
before.
"""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, *place: int | str) -> torch.Generator:
    """A private CPU generator for `place`, such as a visit and an epoch; torch's global one is not touched.

    It lives on the CPU whatever the training device is, so that every device sees the same stream.
    """
    digest = hashlib.blake2b(repr((seed, *place)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))
