"""A data set as scenarios see it: checked tensors on one device, and what they ask of a learner.

Shapes: N samples of `input_shape`, C outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lifelong.objective import Classification, MultiLabel, Objective, Regression
from lifelong_envs.supervised.data.few import few

_SPARSE = 100
"""Times as many outputs as there are classes, which nobody means."""

_LARGEST = 1e18
"""Of a number to be met, so that the square of what is missing has room in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Training and test samples in memory, all on one device.

    Inputs are float32 (N, *input_shape). Targets are int64 (N,) class indices in 0..outputs-1, or float32
    (N, outputs). Raises ValueError where shapes, types, lengths or devices do not fit together, where a
    label is out of range or tested but never taught, or where a value is NaN or infinite.
    """

    name: str
    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    outputs: int
    objective: Objective

    def __post_init__(self) -> None:
        if self.outputs < 1:
            raise ValueError(f"Data set {self.name!r} needs at least one output, got outputs={self.outputs}.")
        devices = {str(x.device) for x in (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets)}
        if len(devices) > 1:
            raise ValueError(f"Data set {self.name!r} lies on several devices: {', '.join(sorted(devices))}.")
        self._check_part("train", self.train_inputs, self.train_targets)
        self._check_part("test", self.test_inputs, self.test_targets)
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            raise ValueError(
                f"Data set {self.name!r}: training samples have shape {tuple(self.train_inputs.shape[1:])} "
                f"but test samples {tuple(self.test_inputs.shape[1:])}. They must be the same."
            )
        if self.train_targets.dtype != self.test_targets.dtype:
            raise ValueError(
                f"Data set {self.name!r}: training targets are {self.train_targets.dtype} but test targets "
                f"{self.test_targets.dtype}. They must be the same."
            )

        if self.has_classes:
            self._check_classes()

    def _check_classes(self) -> None:
        taught = set(self.train_targets.tolist())
        unknown = sorted(set(self.test_targets.tolist()) - taught)
        if unknown:
            raise ValueError(
                f"Data set {self.name!r}: the test samples have labels [{few(unknown)}] that no training sample has, "
                "so nobody can learn them. Check the label files, or leave those samples out."
            )
        if self.outputs > _SPARSE * (len(taught) + 10):
            raise ValueError(
                f"Data set {self.name!r} has labels up to {self.outputs - 1:,} and {len(taught):,} different ones: "
                "each number up to the largest would have an output of its own. Number the classes from 0."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train_inputs.shape[1:])

    @property
    def has_classes(self) -> bool:
        """Whether targets are class indices, one a sample."""
        return self.train_targets.dtype == torch.int64

    def _check_part(self, part: str, inputs: Tensor, targets: Tensor) -> None:
        where = f"Data set {self.name!r}, {part}"
        if inputs.dtype != torch.float32 or inputs.ndim < 2:
            raise ValueError(
                f"{where}_inputs must be float32 of shape (samples, ...), got {inputs.dtype} {tuple(inputs.shape)}."
            )
        if len(inputs) != len(targets):
            raise ValueError(f"{where}: {len(inputs)} inputs but {len(targets)} targets. There must be one for each.")
        if not inputs.numel():
            raise ValueError(f"{where}_inputs is empty: shape {tuple(inputs.shape)}.")
        _check_finite(f"{where}_inputs", inputs)
        self._check_targets(f"{where}_targets", targets)

    def _check_targets(self, where: str, targets: Tensor) -> None:
        if targets.dtype == torch.int64 and targets.ndim == 1:
            if isinstance(self.objective, MultiLabel | Regression):
                raise ValueError(
                    f"{where} are class indices, but the objective {self.objective.name!r} needs float32 "
                    "targets of shape (samples, outputs)."
                )
            low, high = int(targets.min()), int(targets.max())
            if low < 0 or high >= self.outputs:
                raise ValueError(
                    f"{where} hold labels {low}..{high}, outside 0..{self.outputs - 1}. "
                    f"Number the {self.outputs} classes from 0."
                )
        elif targets.dtype == torch.float32 and targets.ndim == 2 and targets.shape[1] == self.outputs:
            if isinstance(self.objective, Classification):
                raise ValueError(f"{where} are floats, but classification needs int64 class indices, one a sample.")
            _check_finite(where, targets)
            if targets.abs().max() > _LARGEST:
                raise ValueError(
                    f"{where} are as large as {float(targets.abs().max()):.3g}, whose squares are none in float32. "
                    "Standardise them."
                )
            if isinstance(self.objective, MultiLabel) and not _all_binary(targets):
                raise ValueError(f"{where} must be 0 or 1 for the objective 'multi_label', but hold other values.")
        else:
            raise ValueError(
                f"{where} must be int64 of shape (samples,) or float32 of shape (samples, {self.outputs}), "
                f"got {targets.dtype} {tuple(targets.shape)}."
            )


@runtime_checkable
class DataSource(Protocol):
    """Where a data set comes from: plain settings that can load it."""

    def load(self, device: torch.device) -> DataSet:
        """Read, check and place the data set on `device`. A ValueError says what is missing or wrong."""
        ...


def _all_binary(targets: Tensor) -> bool:
    return bool(((targets == 0) | (targets == 1)).all())


def _check_finite(where: str, values: Tensor) -> None:
    # One pass without a copy; a sum that overflows only costs the closer look below.
    if torch.isfinite(values.sum()):
        return
    wrong = ~torch.isfinite(values).flatten(1).all(1)
    if wrong.any():
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"{where} hold NaN or infinite values in {int(wrong.sum())} of {len(values)} samples, first in "
            f"sample {first} (counted from 0). Remove or fill them before loading."
        )
