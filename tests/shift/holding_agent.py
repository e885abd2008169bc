"""An agent that shows the detector it was given."""

from __future__ import annotations

from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong_agents.finetune import Finetune


class Holding(Finetune):
    """Fine-tunes, and does nothing with its detector."""

    def __init__(self, detector: Detector | None = None) -> None:
        super().__init__()
        self.detector = Cusum() if detector is None else detector
