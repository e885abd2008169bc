"""Numbers that are none, in what is to be learned or in the loss: left out, recorded, and in the end undone.

Looked at where that makes nobody wait: on the CPU. On other devices a loss that is no number is seen in the record.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.events import Event, Skipped, Update
from lifelong.experience import Batch

PATIENCE = 10
"""Losses in a row that are no number, after which the learner is put back to what it was when it was saved last."""

RESTORES = 3
"""How often it is put back, without a loss that is a number in between."""


class Health:
    """Counts what cannot be learned from. Part of a checkpoint, so that a run that goes on counts on."""

    def __init__(self) -> None:
        self._bad, self._restores = 0, 0

    def unfit(self, batch: Batch) -> Skipped | None:
        """Why nobody should learn from this batch; None: all its numbers are finite."""
        for what, values in (("inputs", batch.inputs), ("targets", batch.targets)):
            if values.is_floating_point() and values.device.type == "cpu" and not _is_finite(values):
                wrong = int((~torch.isfinite(values)).reshape(len(values), -1).any(1).sum())
                return Skipped(f"{what} of {wrong} of {len(values)} samples are not finite", len(values))
        return None

    def is_lost(self, happened: Sequence[Update | Event]) -> bool:
        """Whether the losses have been no numbers for so long that the learner is to be put back."""
        update = next((item for item in happened if isinstance(item, Update)), None)
        if update is None:
            return False
        if not is_lost(update.loss):
            self._bad = self._restores = 0
            return False
        self._bad += 1
        if self._bad < PATIENCE or self._restores >= RESTORES:
            return False
        self._bad, self._restores = 0, self._restores + 1
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"bad": self._bad, "restores": self._restores}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._bad, self._restores = int(state["bad"]), int(state["restores"])


def is_lost(loss: Tensor) -> bool:
    """Whether a loss on the CPU is no number, so that no step can be made from it."""
    return loss.device.type == "cpu" and not math.isfinite(loss.item())


def _is_finite(values: Tensor) -> bool:
    # A sum is several times as fast, and a number that is none stays none; only where it overflows, each is looked at.
    return math.isfinite(values.sum().item()) or bool(torch.isfinite(values).all())
