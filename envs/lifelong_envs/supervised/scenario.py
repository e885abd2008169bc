"""What a stream tells the learner about its tasks.

Source: G. van de Ven and A. Tolias, Three scenarios for continual learning (2019); labels "judging" is their
task-incremental learning, the others are domain- or class-incremental, depending on the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lifelong.objective import Contract, Objective

Labels = Literal["never", "training", "judging"]
Boundaries = Literal["hidden", "shown"]
Head = Literal["shared", "per_task"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who is told which task it is, whether the start and the end of a visit are shown, and what the outputs mean.

    `labels`: "never"; "training" names the task of each training batch; "judging" names it in training and
    in judging, and the contract then lists the classes that the task allows. `boundaries` "shown" marks the
    first batch of each visit and the last one. `head` "per_task" says that outputs mean something else in each
    task; where a task has some of the classes, they are numbered within the task.
    """

    labels: Labels = "never"
    boundaries: Boundaries = "hidden"
    head: Head = "shared"

    def __post_init__(self) -> None:
        for what, given, known in (
            ("labels", self.labels, get_args(Labels)),
            ("boundaries", self.boundaries, get_args(Boundaries)),
            ("head", self.head, get_args(Head)),
        ):
            if given not in known:
                raise ValueError(f"scenario: {what}={given!r}, expected one of {', '.join(map(repr, known))}.")

    def contract(
        self,
        input_shape: tuple[int, ...],
        outputs: int,
        objective: Objective,
        allowed: tuple[int, ...] | None = None,
    ) -> Contract:
        """What a learner may know of a task; the `allowed` outputs are told only where judging shows it."""
        return Contract(
            input_shape,
            outputs,
            objective,
            mask=allowed if self.labels == "judging" else None,
            own_head=self.head == "per_task",
        )


HIDDEN = Scenario()
"""Nothing is told: the learner has to notice by itself that the task has changed."""
