"""What an expert looks out for: its loss rising, its loss falling all at once, its inputs changing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from lifelong.shift.detector import Detector, Shift, must_detect
from lifelong.shift.sees_falls import sees_falls
from lifelong.shift.unlabelled.watch import Unlabelled

Sign = Literal["loss", "fall", "inputs", "drift"]
"""What a shift was noticed by: a loss that rises, or falls; the inputs; what was known being lost bit by bit."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A shift, and what it was noticed by."""

    shift: Shift
    by: Sign


@dataclass(slots=True)
class Watch:
    """Up to three detectors of one expert. `falls` is given the same losses, and fires where they drop all at once:
    one that does not is refused."""

    loss: Detector
    falls: Detector | None = None
    inputs: Unlabelled | None = None

    def __post_init__(self) -> None:
        must_detect("what watches the loss (detector)", self.loss)
        if self.inputs is not None and not isinstance(self.inputs, Unlabelled):
            raise ValueError(
                "inputs must be an Unlabelled, which holds a measure and a detector, such as Unlabelled(Mmd()), or "
                f"null for none, got {self.inputs!r}."
            )
        if self.falls is None:
            return
        must_detect("falls", self.falls)
        if not sees_falls(self.falls):
            raise ValueError(
                f"falls needs a detector that alarms when values fall, such as falling; "
                f"{type(self.falls).__name__}(...) did not where they fell from 1 to 0.1."
            )

    def update(self, loss: float, inputs: Tensor, outputs: Tensor) -> Alarm | None:
        """Take in what one batch showed. Every detector sees every batch; a rising loss speaks first."""
        rise = self.loss.update(loss)
        fall = self.falls.update(loss) if self.falls is not None else None
        seen = self.inputs.update(inputs, outputs) if self.inputs is not None else None
        if rise is not None:
            return Alarm(rise, "loss")
        if seen is not None:
            return Alarm(seen, "inputs")
        return None if fall is None else Alarm(fall, "fall")

    def rearm(self) -> None:
        for detector in self._all():
            detector.rearm()

    def reset(self) -> None:
        for detector in self._all():
            detector.reset()

    def _all(self) -> list[Detector | Unlabelled]:
        return [d for d in (self.loss, self.falls, self.inputs) if d is not None]

    def state_dict(self) -> dict[str, Any]:
        return {"detectors": [detector.state_dict() for detector in self._all()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for detector, kept in zip(self._all(), state["detectors"], strict=True):
            detector.load_state_dict(kept)
