"""Where experience comes from: a stream of tasks that can be started again at any step.

A stream is a pure function of its own settings and seed: `experiences(start)` yields the same things whether the steps
before were walked through or skipped, which is what makes a resumed run equal to an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from lifelong.experience import Batch, Truth
from lifelong.objective import Contract


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to be learned, and how it is judged: held-out inputs (N, ...) and targets (N, ...) on the device.

    `contract` is what a judged learner may know; `label` is the task's name where the scenario shows it in judging.
    """

    name: str
    contract: Contract
    test_inputs: Tensor
    test_targets: Tensor
    label: str | None = None

    def __post_init__(self) -> None:
        if len(self.test_inputs) != len(self.test_targets) or not len(self.test_inputs):
            raise ValueError(
                f"Task {self.name!r} needs as many test targets as test inputs and at least one, "
                f"got {len(self.test_inputs)} inputs and {len(self.test_targets)} targets."
            )


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the stream that serves one task: its name, and how many experiences it lasts."""

    task: str
    steps: int


@runtime_checkable
class Stream(Protocol):
    """A sequence of experiences drawn from tasks that change, recur and are, as a rule, not named."""

    @property
    def name(self) -> str: ...

    @property
    def tasks(self) -> Sequence[Task]:
        """The distinct tasks in order of their first appearance."""
        ...

    @property
    def segments(self) -> Sequence[Segment]:
        """The truth: which task is served when. For the loop, the evaluation and the record, never for a learner."""
        ...

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        """Experiences from step `start` (0-based) to the end, each with the truth beside it."""
        ...
