"""One thread: rows are few, and threads that wait for a busy core cost minutes."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
