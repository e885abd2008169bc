"""What a task asks for: a loss to descend and a metric to be judged by, as one object.

Shapes: B samples, C outputs. An objective is frozen plain data, so that two tasks that ask for the same thing
compare equal, and it never reads a tensor's value on the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor


@runtime_checkable
class Metric(Protocol):
    """How well outputs meet targets, sample by sample; the metric of a set is the mean over its samples."""

    @property
    def name(self) -> str: ...

    @property
    def higher_is_better(self) -> bool: ...

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...

    def per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(..., B, C) outputs and their targets -> (..., B) values in [low, high]."""
        ...


@runtime_checkable
class Objective(Protocol):
    """What a learner minimises, and the metric that it is judged by."""

    @property
    def name(self) -> str: ...

    @property
    def metric(self) -> Metric: ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss over the batch, a scalar on the device of `outputs`."""
        ...


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of samples whose largest output is the target class."""

    name: str = "accuracy"
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0

    def per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(-1) == targets).float()


@dataclass(frozen=True, slots=True)
class LabelAccuracy:
    """Share of a sample's labels that are told right (one minus the Hamming loss)."""

    name: str = "label_accuracy"
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0

    def per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor:
        _must_fit(outputs, targets)
        return ((outputs > 0) == (targets > 0.5)).float().mean(-1)


@dataclass(frozen=True, slots=True)
class Explained:
    """Share of the target's variance that is explained, 1 - squared error / variance (R² about the data set's mean)."""

    variance: float = 1.0
    name: str = "explained_variance"
    higher_is_better: bool = True
    low: float = float("-inf")
    high: float = 1.0

    def per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor:
        _must_fit(outputs, targets)
        return 1.0 - (outputs - targets).square().mean(-1) / self.variance


@dataclass(frozen=True, slots=True)
class AbsoluteError:
    """Mean absolute error: lower is better, so the score matrix holds its negative."""

    name: str = "absolute_error"
    higher_is_better: bool = False
    low: float = 0.0
    high: float = float("inf")

    def per_sample(self, outputs: Tensor, targets: Tensor) -> Tensor:
        _must_fit(outputs, targets)
        return (outputs - targets).abs().mean(-1)


@dataclass(frozen=True, slots=True)
class Classification:
    """One class out of C. Targets: (B,) int64 class indices."""

    metric: Metric = Accuracy()
    name: str = "classification"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets)


@dataclass(frozen=True, slots=True)
class MultiLabel:
    """Any number of C labels at once. Targets: (B, C) floats, 0 or 1."""

    metric: Metric = LabelAccuracy()
    name: str = "multi_label"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        _must_fit(outputs, targets)
        return F.binary_cross_entropy_with_logits(outputs, targets)


@dataclass(frozen=True, slots=True)
class Regression:
    """C real numbers. Targets: (B, C) floats, best standardised so that losses of two tasks can be compared."""

    metric: Metric = Explained()
    name: str = "regression"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        _must_fit(outputs, targets)
        return F.mse_loss(outputs, targets)


@dataclass(frozen=True, slots=True)
class Contract:
    """What a task owns and a learner may know: what comes in, what must come out, how it is judged.

    `mask` lists the outputs that the task allows (None: all). It tells which task this is, so a scenario
    sets it only where it shows task labels. `own_head` says that outputs mean something else in each task, so a learner
    that is told the task keeps one head for each.
    """

    input_shape: tuple[int, ...]
    outputs: int
    objective: Objective
    mask: tuple[int, ...] | None = None
    own_head: bool = False

    def __post_init__(self) -> None:
        if self.outputs < 1:
            raise ValueError(f"A contract needs at least one output, got outputs={self.outputs}.")
        if self.mask is not None and not all(0 <= i < self.outputs for i in self.mask):
            raise ValueError(f"mask {self.mask} names outputs outside 0..{self.outputs - 1}.")

    def restrict(self, outputs: Tensor) -> Tensor:
        """Outputs that the mask forbids become the lowest finite number; all others pass unchanged."""
        if self.mask is None:
            return outputs
        forbidden = torch.ones(self.outputs, dtype=torch.bool, device=outputs.device)
        forbidden[list(self.mask)] = False
        return outputs.masked_fill(forbidden, torch.finfo(outputs.dtype).min)


def _must_fit(outputs: Tensor, targets: Tensor) -> None:
    """Raises ValueError unless each output has a target of its own: (B, 1) and (B,) would be spread to (B, B)."""
    if outputs.shape[-2:] == targets.shape[-2:] and targets.dim() >= 2:
        return
    cure = " Write targets[:, None]." if targets.dim() == 1 and outputs.shape[-1:] == (1,) else ""
    raise ValueError(
        f"Targets must have the shape of the outputs, (B, C): got outputs {tuple(outputs.shape)} and targets "
        f"{tuple(targets.shape)}.{cure}"
    )
