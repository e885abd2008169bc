"""Where a task is seen to begin and to end, without a look at any loss: by what batches say of themselves."""

from __future__ import annotations

from typing import Any

from lifelong.experience import Batch
from lifelong.objective import Contract


class Border:
    """What the latest batch said: `contract`, `task`, and whether a task `ended` with it; the next is held against it.

    Before the first batch there is no contract.
    """

    def __init__(self) -> None:
        self.contract: Contract | None = None
        self.task: str | None = None
        self.ended = False

    def begins(self, batch: Batch) -> bool:
        """Whether a batch, not the first of all, is seen to begin a task: it says so, or differs, or one has ended."""
        if self.contract is None:
            return False
        told = batch.boundary or self.ended or batch.task != self.task
        # Contracts of a stream are the same object, as a rule: nothing is compared then.
        return told or (batch.contract is not self.contract and batch.contract != self.contract)

    def passed(self, batch: Batch) -> None:
        self.contract, self.task, self.ended = batch.contract, batch.task, batch.ends

    def state_dict(self) -> dict[str, Any]:
        return {"contract": self.contract, "task": self.task, "ended": self.ended}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.contract, self.task, self.ended = state["contract"], state["task"], state["ended"]
