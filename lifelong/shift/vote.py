"""Several detectors that vote: a shift is what enough of them see within a few values of each other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift, must_detect
from lifelong.shift.ewma import Ewma
from lifelong.shift.page_hinkley import PageHinkley


def _three() -> tuple[Detector, ...]:
    return Cusum(), PageHinkley(), Ewma()


@dataclass(slots=True)
class Vote:
    """Fires when `needed` of its detectors fired within the last `within` values.

    A detector's alarm stands for `within` values; if too few others join it, that detector is rearmed. `statistic` is
    the number of alarms that stand, and the threshold half a vote below `needed`. The onset is the median of those that
    the alarms point to (of two, the later): one detector that counts from too far back does not move it. cooldown:
    silent values after a rearm, in which alarms are gathered. needed: 1 is any of them, their number is all.
    """

    detectors: Sequence[Detector] = field(default_factory=_three)
    needed: int = 2
    within: int = 10
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _alarms: dict[int, tuple[int, int]] = field(default_factory=dict, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.detectors, str) or not isinstance(self.detectors, Sequence):
            raise ValueError(f"detectors of Vote must be a list of detectors, got {self.detectors!r}.")
        for detector in self.detectors:
            must_detect("each of the detectors of Vote", detector)
        if not 1 <= self.needed <= len(self.detectors):
            raise ValueError(
                f"Vote needs 1 <= needed <= {len(self.detectors)}, the number of its detectors, "
                f"got needed={self.needed}."
            )
        if self.within < 1 or self.cooldown < 0:
            raise ValueError(
                f"Vote needs within >= 1 and cooldown >= 0, got within={self.within}, cooldown={self.cooldown}."
            )

    @property
    def threshold(self) -> float:
        return self.needed - 0.5

    def update(self, value: float) -> Shift | None:
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        # Of every alarm that stands: its age and its onset, both counted up to this value.
        self._alarms = {i: (age + 1, onset + 1) for i, (age, onset) in self._alarms.items()}
        for i, detector in enumerate(self.detectors):
            shift = detector.update(value)
            if shift is not None and i not in self._alarms:
                self._alarms[i] = (1, shift.onset)
            elif i in self._alarms and self._alarms[i][0] > self.within:
                detector.rearm()
                del self._alarms[i]
        self.statistic = float(len(self._alarms))
        if len(self._alarms) < self.needed or silent:
            return None
        onset = statistics.median_low(onset for _, onset in self._alarms.values())
        return Shift(onset, self.statistic, self.threshold)

    def rearm(self) -> None:
        for detector in self.detectors:
            detector.rearm()
        self.statistic, self._alarms, self._silent = 0.0, {}, self.cooldown

    def reset(self) -> None:
        for detector in self.detectors:
            detector.reset()
        self.statistic, self._alarms, self._silent = 0.0, {}, 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "alarms": dict(self._alarms),
            "silent": self._silent,
            "detectors": [detector.state_dict() for detector in self.detectors],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._alarms, self._silent = state["statistic"], dict(state["alarms"]), state["silent"]
        for detector, kept in zip(self.detectors, state["detectors"], strict=True):
            detector.load_state_dict(kept)
