"""Data sets from arrays, tensors or torch data sets that the user's own code already holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lifelong.objective import Objective
from lifelong_envs.supervised.data.dataset import DataSet
from lifelong_envs.supervised.data.targets import with_objective

Array: TypeAlias = np.ndarray | Tensor
"""Numbers, as numpy or torch hold them."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Samples (N, ...) and targets that are already in memory. Inputs are taken as they are, as float32.

    Where `objective` is not given it is inferred from the targets: integers or bools (N,) or (N, 1) are
    classification; floats or bools (N, C) that are all 0 or 1 are multi-label; other floats, (N,) or (N, C),
    are regression, whose metric takes the variance of the training targets. Standardising regression targets
    is left to the user.
    """

    train_inputs: Array
    train_targets: Array
    test_inputs: Array
    test_targets: Array
    name: str = "arrays"
    objective: Objective | None = None

    def load(self, device: torch.device) -> DataSet:
        """The data set on `device`. Raises ValueError as `DataSet` does."""
        return with_objective(
            self.name,
            torch.as_tensor(self.train_inputs, device=device),
            torch.as_tensor(self.train_targets, device=device),
            torch.as_tensor(self.test_inputs, device=device),
            torch.as_tensor(self.test_targets, device=device),
            self.objective,
        )


def from_torch_dataset(
    train: Dataset[Any], test: Dataset[Any], name: str = "dataset", objective: Objective | None = None
) -> Arrays:
    """Read two torch data sets of (input, target) pairs into memory, applying their transforms once.

    The objective is inferred as in `Arrays`. Raises ValueError where a data set has no length or its items
    are not pairs of equally shaped tensors, arrays or numbers.
    """
    return Arrays(*_gathered(train, "train"), *_gathered(test, "test"), name=name, objective=objective)


def _gathered(dataset: Dataset[Any], part: str) -> tuple[Tensor, Tensor]:
    if not hasattr(dataset, "__len__") or not len(dataset):
        raise ValueError(f"The {part} data set ({type(dataset).__name__}) is empty or has no length.")
    try:
        pairs = [(torch.as_tensor(x), torch.as_tensor(y)) for x, y in (dataset[i] for i in range(len(dataset)))]
        return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The items of the {part} data set ({type(dataset).__name__}) must be pairs (input, target) of "
            f"tensors, arrays or numbers of equal shapes ({error}). Images need a transform to tensors."
        ) from error
