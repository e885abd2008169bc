"""Batches that do not hold what their task's contract says: named, with the task, before torch trips over them.

Looked at where a segment begins, on any device, and again where a step fails: what is right costs nothing.
"""

from __future__ import annotations

import torch

from lifelong.experience import Batch
from lifelong.interaction import Interaction
from lifelong.objective import Classification, Contract

ON_DEVICE = "device-side assert"
"""What CUDA says, some time later, of a number that is out of range; nothing on the device can be read after that."""


def must_fit(experience: Batch | Interaction, task: str) -> None:
    """Raises ValueError where a batch's inputs or class labels are not those of its contract."""
    if not isinstance(experience, Batch):
        return
    contract = experience.contract
    if tuple(experience.inputs.shape[1:]) != contract.input_shape:
        raise ValueError(
            f"Task {task!r} gave inputs of shape {tuple(experience.inputs.shape[1:])}, and its contract says "
            f"{contract.input_shape}: make them agree."
        )
    must_be_answerable(experience.targets, contract, task)


def must_be_answerable(targets: torch.Tensor, contract: Contract, task: str) -> None:
    """Raises ValueError, naming the task and the label, where a class has no output."""
    if not isinstance(contract.objective, Classification) or targets.is_floating_point():
        return
    if targets.dtype != torch.int64 or targets.dim() != 1:
        raise ValueError(
            f"Task {task!r} gave targets of type {targets.dtype} and shape {tuple(targets.shape)}, expected one int64 "
            "class for each sample, shape (samples,): use targets.long() and targets.squeeze(1)."
        )
    low, high = (int(bound) for bound in torch.aminmax(targets))
    if low < 0 or high >= contract.outputs:
        raise ValueError(
            f"Task {task!r} has the label {low if low < 0 else high}, and its contract outputs for 0 to "
            f"{contract.outputs - 1} alone: number the classes from 0, or give the contract outputs={max(high, 0) + 1}."
        )


def explain(error: Exception, experience: Batch | Interaction, task: str) -> None:
    """A step failed: raises a ValueError that says why, where it is the batch's fault."""
    if ON_DEVICE in str(error):
        raise ValueError(
            f"A number of task {task!r} is out of range for the device, most likely a label: the same run with "
            "device=cpu names it."
        ) from error
    try:
        must_fit(experience, task)
    except ValueError as fault:
        raise fault from error
