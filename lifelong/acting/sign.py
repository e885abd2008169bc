"""What a detector says of an active expert's world, until somebody has judged it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from lifelong.shift.detector import Detector, Shift


class Sign:
    """Alarms of one kind. Each value that a detector is shown has a date, so that it is known when the cause began.

    standing: an alarm that was not judged yet, and the date of its onset.
    """

    def __init__(self) -> None:
        self._dates: deque[int] = deque(maxlen=256)
        self.standing: tuple[Shift, int] | None = None

    def begin(self) -> None:
        """Another expert begins."""
        self._dates.clear()
        self.standing = None

    def show(self, detector: Detector, values: Sequence[float], dates: Sequence[int], heeded: bool) -> None:
        """Show the detector new values; its alarm stands, where it is heeded and none does yet."""
        for value, date in zip(values, dates, strict=True):
            self._dates.append(date)
            shift = detector.update(value)
            if shift is not None and heeded and self.standing is None:
                self.standing = shift, self._dates[-min(shift.onset, len(self._dates))]

    def state_dict(self) -> dict[str, Any]:
        standing = None
        if self.standing is not None:
            shift, date = self.standing
            standing = [shift.onset, shift.statistic, shift.threshold, date]
        return {"dates": list(self._dates), "standing": standing}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._dates, self.standing = deque(state["dates"], maxlen=256), None
        if state["standing"] is not None:
            *shift, date = state["standing"]
            self.standing = Shift(*shift), date
