"""Small data sets that the tests of supervised streams share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lifelong_envs.supervised.data import Arrays


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def images() -> Arrays:
    """43 training and 12 test images of shape (2, 5, 5), no two alike, labels 0..3 in turn."""
    draw = torch.Generator().manual_seed(7)
    return Arrays(
        torch.rand(43, 2, 5, 5, generator=draw),
        torch.arange(43) % 4,
        torch.rand(12, 2, 5, 5, generator=draw),
        torch.arange(12) % 4,
        name="images",
    )


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The path of a real data file or folder; skips the test where it is not on this machine."""
    beside = Path(__file__).resolve().parents[3] / "../shared/data"
    folder = Path(os.environ.get("LIFELONG_DATA", beside))

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"real data {name!r} is not in {folder}: set LIFELONG_DATA to the folder that has it")
        return folder / name

    return find
