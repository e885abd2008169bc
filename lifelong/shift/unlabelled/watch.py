"""Shift detection for streams without labels: a measure says how strange a batch is, a detector when that is a shift."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift
from lifelong.shift.unlabelled.measure import Measure
from lifelong.shift.unlabelled.mmd import Mmd

LIFT = 10.0
"""Added to every value. Detectors are made for losses, which are positive, and take a tenth of the level for the least
spread. Values of a measure lie about 0 with deviation 1: lifted, that least spread is one deviation of chance."""


def _patient() -> Cusum:
    """Slower and surer than for losses: the chance of a measure has a longer tail on its right than a normal one.

    Measured on all measures: README of the benchmark, `benchmarks/unlabelled.py`.
    """
    return Cusum(threshold=20.0, allowance=1.5, cap=6.0, warmup=10)


@dataclass(slots=True, eq=False)
class Unlabelled:
    """Watches batches without labels for a shift of inputs, or of what the model answers to them.

    measure: what is strange about a batch; the default finds most. detector: when strangeness is a shift; any detector
    of losses will do. Blind for the measure's grace and the detector's warm-up after a start or `reset`.
    """

    measure: Measure = field(default_factory=Mmd)
    detector: Detector = field(default_factory=_patient)

    @property
    def statistic(self) -> float:
        """What the detector holds against the last batch; above `threshold` it is a shift."""
        return self.detector.statistic

    @property
    def threshold(self) -> float:
        return self.detector.threshold

    def update(self, inputs: Tensor, outputs: Tensor | None = None) -> Shift | None:
        """Take in one batch, (B, ...) inputs and (B, ...) outputs of the model; `Shift.onset` counts batches.

        Raises: ValueError where the measure looks at outputs and there are none.
        """
        seen = inputs if self.measure.sight == "inputs" else outputs
        if seen is None:
            raise ValueError(
                f"{type(self.measure).__name__} looks at the model's outputs, got none: call update(inputs, outputs)."
            )
        if not len(seen):
            return None
        strangeness = self.measure.observe(seen)
        return None if strangeness is None else self.detector.update(LIFT + strangeness)

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
