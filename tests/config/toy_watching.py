"""An agent that takes a watch over unlabelled inputs, and one that takes a measure alone."""

from __future__ import annotations

from toy_parts import ToyAgent

from lifelong.shift.unlabelled.energy import Energy
from lifelong.shift.unlabelled.measure import Measure
from lifelong.shift.unlabelled.watch import Unlabelled


class WatchingAgent(ToyAgent):
    """A learner that watches its inputs."""

    def __init__(self, inputs: Unlabelled | None = None) -> None:
        super().__init__()
        self.inputs = inputs


class MeasuringAgent(ToyAgent):
    """A learner that measures its inputs."""

    def __init__(self, measure: Measure = Energy(directions=8)) -> None:  # noqa: B008
        super().__init__()
        self.measure = measure
