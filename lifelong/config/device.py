"""Which device a run really uses, decided and checked before anything is made."""

from __future__ import annotations

import re

import torch

from lifelong.config.errors import shown


def real_device(asked: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` -> `cpu` or `cuda:N`, a device that is there.

    Raises: ValueError for another word and for a device that this machine does not have.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "cpu" or (asked == "auto" and not count):
        return "cpu"
    wanted = re.fullmatch(r"auto|cuda(?::(\d+))?", asked)
    if wanted is None:
        raise ValueError(f"got {shown(asked)}, expected auto, cpu, cuda or cuda:N (N = 0, 1, ...).")
    number = int(wanted[1] or 0)
    if number < count:
        return f"cuda:{number}"
    there = f"cuda:0 to cuda:{count - 1}" if count else "no CUDA device"
    raise ValueError(f"got {shown(asked)}, but torch {torch.__version__} sees {there} here. Use auto, or cpu.")
