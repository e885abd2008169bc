"""What targets ask for, told from their type and shape.

Shapes: N samples, C outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.objective import Classification, Explained, MultiLabel, Objective, Regression
from lifelong_envs.supervised.data.dataset import DataSet


def with_objective(
    name: str,
    train_inputs: Tensor,
    train_targets: Tensor,
    test_inputs: Tensor,
    test_targets: Tensor,
    objective: Objective | None = None,
) -> DataSet:
    """A data set whose targets are brought into form, and whose objective is inferred where it is not given.

    Integer or bool targets (N,) or (N, 1) are classes, outputs being the largest label plus one; other
    targets (N,) or (N, C) are multi-label where all are 0 or 1, else regression, the metric's variance being
    that of the training targets about their mean, averaged over outputs. Nothing is standardised. Raises
    ValueError as `DataSet` does, and for integer targets with several columns.
    """
    train_targets, test_targets = _formed(name, train_targets, objective), _formed(name, test_targets, objective)
    if not len(train_targets) or not len(test_targets):
        raise ValueError(
            f"Data set {name!r} needs at least one training and one test sample, "
            f"got {len(train_targets)} and {len(test_targets)}."
        )
    if train_targets.dtype != test_targets.dtype:
        raise ValueError(
            f"Data set {name!r}: training targets are {train_targets.dtype} but test targets {test_targets.dtype}. "
            "They must be the same."
        )
    if train_targets.dtype == torch.int64:
        outputs = max(1, 1 + int(torch.stack([train_targets.max(), test_targets.max()]).max()))
        objective = objective or Classification()
    else:
        outputs = train_targets.shape[1]
        objective = objective or _float_objective(name, train_targets, test_targets)
    return DataSet(name, train_inputs.float(), train_targets, test_inputs.float(), test_targets, outputs, objective)


def _formed(name: str, targets: Tensor, objective: Objective | None) -> Tensor:
    whole = not targets.is_floating_point()
    if whole and targets.ndim == 2 and targets.shape[1] == 1 and not isinstance(objective, MultiLabel | Regression):
        targets = targets[:, 0]
    if whole and targets.ndim == 1 and not isinstance(objective, MultiLabel | Regression):
        return targets.long()
    if targets.ndim == 1:
        targets = targets[:, None]
    if targets.ndim != 2:
        raise ValueError(
            f"Data set {name!r}: targets must have shape (samples,) or (samples, outputs), got {tuple(targets.shape)}."
        )
    if whole and targets.dtype != torch.bool and objective is None:
        raise ValueError(
            f"Data set {name!r}: integer targets of shape {tuple(targets.shape)} can mean several things: give one "
            "column for classes, floats 0/1 for several labels at once, floats for regression, or name the objective."
        )
    return targets.float()


def _float_objective(name: str, train: Tensor, test: Tensor) -> Objective:
    both = torch.cat([train, test]) if train.shape[1:] == test.shape[1:] else train
    if bool(((both == 0) | (both == 1)).all()):
        return MultiLabel()
    variance = float(train.double().var(0, correction=0).mean())
    if variance == 0:
        raise ValueError(f"Data set {name!r}: the training targets are all the same, there is nothing to regress on.")
    return Regression(Explained(variance=variance))
