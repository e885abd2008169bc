"""Handwritten digits of 8x8 pixels that come with scikit-learn: real data that needs no download."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lifelong.objective import Classification
from lifelong_envs.supervised.data.dataset import DataSet
from lifelong_envs.supervised.data.split import check_share, random_rows


@dataclass(frozen=True, slots=True)
class Digits:
    """1,797 images of shape (1, 8, 8) in [0, 1] and 10 classes, `test_share` of each class kept for testing.

    The split is drawn from `split_seed` alone, so that runs with different seeds are judged on the same
    samples. Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), its
    test part.
    """

    test_share: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_share(self.test_share)

    def load(self, device: torch.device) -> DataSet:
        """The data set on `device`. Raises ValueError where `test_share` leaves a part empty."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        inputs = torch.from_numpy(pixels).float().div(16).reshape(-1, 1, 8, 8)
        targets = torch.from_numpy(labels).long()
        train, test = random_rows(targets, self.test_share, self.split_seed)
        return DataSet(
            "digits",
            inputs[train].to(device),
            targets[train].to(device),
            inputs[test].to(device),
            targets[test].to(device),
            outputs=10,
            objective=Classification(),
        )
