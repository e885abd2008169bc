"""Which samples of an undivided data set are kept for testing."""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong_envs.supervised.seeding import generator


def check_share(test_share: float) -> None:
    """Raises ValueError where a share of samples is not between 0 and 1."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share={test_share}: expected a share of the samples between 0 and 1, like 0.2.")


def random_rows(strata: Tensor, test_share: float, split_seed: int) -> tuple[Tensor, Tensor]:
    """Training and test rows, both ascending; each class in `strata` (N,) gives the same share to the test.

    The same seed gives the same rows. Raises ValueError where a part would be empty.
    """
    draw = generator(split_seed, "split")
    is_test = torch.zeros(len(strata), dtype=torch.bool)
    for value in range(int(strata.max()) + 1):
        rows = (strata == value).nonzero()[:, 0]
        shuffled = rows[torch.randperm(len(rows), generator=draw)]
        is_test[shuffled[: round(test_share * len(rows))]] = True
    return _parts(is_test, test_share)


def last_rows(count: int, test_share: float) -> tuple[Tensor, Tensor]:
    """Training and test rows, the test being the last in time. Raises ValueError where a part would be
    empty.
    """
    return _parts(torch.arange(count) >= count - round(test_share * count), test_share)


def _parts(is_test: Tensor, test_share: float) -> tuple[Tensor, Tensor]:
    train, test = (~is_test).nonzero()[:, 0], is_test.nonzero()[:, 0]
    if not len(train) or not len(test):
        raise ValueError(
            f"test_share={test_share} of {len(is_test)} samples leaves {len(train)} for training and "
            f"{len(test)} for testing. Both need at least one: choose another share."
        )
    return train, test
