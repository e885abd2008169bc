"""Shift detection without labels: a measure says how strange a batch is, a detector when that is a shift."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift, must_detect
from lifelong.shift.unlabelled.measure import Measure
from lifelong.shift.unlabelled.mmd import Mmd

LIFT = 10.0
"""Added to every value. Detectors are made for losses, which are positive, and take a share of the level, a tenth, for
the least spread. Values of a measure have a deviation of about 1 by chance: lifted, that is the least spread."""


def patient() -> Cusum:
    """The settings for losses, with a longer memory and a shorter warm-up.

    A loss falls while a model learns and its level must follow soon; what a measure says by chance stays where it is.
    A memory of 200 values sees drift that 20 would take for normal, and a step of two deviations. In 180,000 values
    that five measures gave by chance the sum never came above 7.5 of the 12 that fire; a step of four fires after 5.
    """
    return Cusum(memory=200, warmup=10)


@dataclass(slots=True, eq=False)
class Unlabelled:
    """Watches batches without labels for a shift of inputs, or of what the model answers to them.

    measure: what is strange about a batch; the default finds most. detector: when strangeness is a shift; any detector
    of losses will do. Blind for the measure's grace and the detector's warm-up after a start or `reset`.
    """

    measure: Measure = field(default_factory=Mmd)
    detector: Detector = field(default_factory=patient)

    def __post_init__(self) -> None:
        if isinstance(self.measure, type) or not isinstance(self.measure, Measure):
            raise ValueError(f"measure of Unlabelled must be a measure, such as Mmd(), got {self.measure!r}.")
        must_detect("detector of Unlabelled", self.detector)

    @property
    def statistic(self) -> float:
        """What the detector holds against the last batch; above `threshold` it is a shift."""
        return self.detector.statistic

    @property
    def threshold(self) -> float:
        return self.detector.threshold

    def update(self, inputs: Tensor, outputs: Tensor | None = None) -> Shift | None:
        """Take in one batch, (B, ...) inputs and (B, ...) outputs of the model; `Shift.onset` counts batches.

        Raises: ValueError where the measure looks at outputs and there are none; TypeError for what is no tensor.
        """
        seen = inputs if self.measure.sight == "inputs" else outputs
        if seen is None:
            raise ValueError(
                f"{type(self.measure).__name__} looks at the model's outputs, got none: call update(inputs, outputs)."
            )
        if not isinstance(seen, Tensor):
            raise TypeError(
                f"A batch must be a torch.Tensor, got {type(seen).__name__}: convert an array with torch.from_numpy."
            )
        if not len(seen):
            return None
        strangeness = self.measure.observe(seen)
        if strangeness is None:
            return None
        # Less strange than the reference is no news, and must not lower the level that later batches are held against.
        return self.detector.update(LIFT + max(strangeness, 0.0))

    def rearm(self) -> None:
        """Drop the suspicion and keep the reference: the world that it knows is back."""
        self.detector.rearm()

    def reset(self) -> None:
        """Forget everything: another world begins and its reference must be gathered anew."""
        self.measure.reset()
        self.detector.reset()

    def state_dict(self) -> dict[str, Any]:
        return {"measure": self.measure.state_dict(), "detector": self.detector.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.measure.load_state_dict(state["measure"])
        self.detector.load_state_dict(state["detector"])
