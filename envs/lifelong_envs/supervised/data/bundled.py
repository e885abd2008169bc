"""Small real tables that come with scikit-learn: other shapes, heads and metrics than images, with no download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from lifelong.objective import Classification, MultiLabel, Objective, Regression
from lifelong_envs.supervised.data.dataset import DataSet
from lifelong_envs.supervised.data.split import check_share, random_rows


@dataclass(frozen=True, slots=True)
class Bundled:
    """A table of scikit-learn: wine and breast_cancer (classes), diabetes (one number), linnerud (three labels).

    linnerud asks of each of three body measures whether it is above the median, from three exercises: several labels at
    once. Inputs and regression targets are standardised by the training part; the split depends on `split_seed` alone.
    """

    table: Literal["wine", "breast_cancer", "diabetes", "linnerud"]
    test_share: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_share(self.test_share)

    def load(self, device: torch.device) -> DataSet:
        """The data set on `device`. Raises ValueError where `test_share` leaves a part empty."""
        from sklearn import datasets

        load = getattr(datasets, f"load_{self.table}")
        values, answers = load(return_X_y=True)
        classes = answers.dtype.kind == "i"
        strata = torch.from_numpy(answers).long() if classes else torch.zeros(len(values), dtype=torch.int64)
        train, test = random_rows(strata, self.test_share, self.split_seed)
        known = train.numpy()
        values = (values - values[known].mean(0)) / values[known].std(0)
        if classes:
            targets, outputs = strata, int(strata.max()) + 1
            objective: Objective = Classification()
        elif self.table == "linnerud":
            targets = torch.from_numpy(answers > np.median(answers[known], axis=0)).float()
            outputs, objective = targets.shape[1], MultiLabel()
        else:
            scaled = (answers - answers[known].mean()) / answers[known].std()
            targets, outputs, objective = torch.from_numpy(scaled).float()[:, None], 1, Regression()
        inputs, targets = torch.from_numpy(values).float().to(device), targets.to(device)
        return DataSet(self.table, inputs[train], targets[train], inputs[test], targets[test], outputs, objective)
