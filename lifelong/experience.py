"""What a learner is given, and what it gives back when it is asked.

Shapes: B samples of `contract.input_shape`, C outputs. The true task travels beside the experience as a `Truth`, to the
evaluator and the record, never to the learner.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lifelong.objective import Contract


@dataclass(frozen=True, slots=True)
class Batch:
    """One labelled mini-batch, already on the training device.

    `task` is the task's name only where the scenario shows labels in training, else None. `boundary` is True on the
    first batch of a segment only where the scenario shows boundaries. Raises ValueError for a batch without samples, or
    without a target for each.
    """

    inputs: Tensor
    targets: Tensor
    contract: Contract
    task: str | None = None
    boundary: bool = False

    def __post_init__(self) -> None:
        count = len(self.inputs)
        if not count or count != len(self.targets):
            raise ValueError(
                f"A batch needs at least one sample and a target for each, got {count} inputs and {len(self.targets)} "
                "targets. Leave out a batch that has none."
            )


@dataclass(frozen=True, slots=True)
class Query:
    """Inputs to be answered without learning. `task` is given only where the scenario shows labels in judging."""

    inputs: Tensor
    contract: Contract
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """Answers to a query: (B, C) outputs, and (B,) int64 on the same device, the expert that answered each sample.

    known: (B,) bool, False where the inputs are foreign to everybody, and the answer a mere guess; None: not judged.
    """

    outputs: Tensor
    experts: Tensor
    known: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Which task an experience really comes from, and in which segment of the stream (0, 1, ...)."""

    task: str
    segment: int


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known of a stream of batches before it is lived through.

    contracts: of all its tasks. labelled: whether questions say which task they are of. steps: experiences in all.
    ends: how often a task of batches ends, and another visit to one follows.
    """

    contracts: tuple[Contract, ...]
    labelled: bool
    steps: int
    ends: int
