"""Falls watched: a world that became easier at once, told from a learner that gets better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift, must_detect
from lifelong.shift.onset import LONGEST_RUN

UNSURE = 2
"""Values right before an onset that are left out of the plateau."""


@dataclass(slots=True)
class Falling:
    """Watches falls with any detector of rises; an alarm counts only for an abrupt drop from a plateau.

    detector: is shown the negated values. memory: values before the drop that make the plateau, `least` at the fewest.
    flatness: standard errors by which the plateau's halves may differ in mean; drop: the least fall, in deviations of
    the plateau. Half of the fall must have come with the first half of the values since. cooldown: silent values after
    a rearm. Whatever else lets the detector fire is taken for learning, and it begins anew.

    What it cannot tell from an easier world: a loss that sits on a plateau and then falls within a few values of
    learning, as with a learning rate that drops by steps. Values that are not numbers are no fall and passed over.
    """

    detector: Detector = field(default_factory=Cusum)
    memory: int = 60
    least: int = 20
    flatness: float = 3.0
    drop: float = 3.0
    cooldown: int = 0
    _values: list[float] = field(default_factory=list, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        must_detect("detector of Falling", self.detector)
        if not (4 <= self.least <= self.memory and self.flatness > 0 and self.drop >= 0 and self.cooldown >= 0):
            raise ValueError(
                f"Falling needs 4 <= least <= memory, flatness > 0, drop >= 0 and cooldown >= 0, got "
                f"least={self.least}, memory={self.memory}, flatness={self.flatness}, drop={self.drop}, "
                f"cooldown={self.cooldown}."
            )

    @property
    def statistic(self) -> float:
        return self.detector.statistic

    @property
    def threshold(self) -> float:
        return self.detector.threshold

    def update(self, value: float) -> Shift | None:
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        if not abs(value) < 1e100:
            return None
        self._values.append(value)
        del self._values[: -(self.memory + UNSURE + LONGEST_RUN)]
        shift = self.detector.update(-value)
        if shift is None or silent:
            return None
        since = min(shift.onset, len(self._values))
        # The detector may count the first values of the drop to the plateau: it would no longer be flat.
        if self._abrupt(self._values[: -since - UNSURE][-self.memory :], self._values[-since:]):
            return shift
        self.detector.reset()
        return None

    def _abrupt(self, before: Sequence[float], since: Sequence[float]) -> bool:
        """Whether values came down from a plateau, far enough and at once."""
        if len(before) < self.least:
            return False
        half = len(before) // 2
        older, newer = _mean(before[:half]), _mean(before[half:])
        squares = sum((v - older) ** 2 for v in before[:half]) + sum((v - newer) ** 2 for v in before[half:])
        spread = math.sqrt(squares / (len(before) - 2))
        if abs(older - newer) > self.flatness * spread * math.sqrt(1.0 / half + 1.0 / (len(before) - half)):
            return False
        plateau = _mean(before)
        middle = (len(since) + 1) // 2
        early, late = plateau - _mean(since[:middle]), plateau - _mean(since[middle:] or since)
        return plateau - _mean(since) >= self.drop * spread and early >= 0.5 * late

    def rearm(self) -> None:
        self.detector.rearm()
        self._silent = self.cooldown

    def reset(self) -> None:
        self.detector.reset()
        self._silent, self._values = 0, []

    def state_dict(self) -> dict[str, Any]:
        return {"detector": self.detector.state_dict(), "values": list(self._values), "silent": self._silent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.detector.load_state_dict(state["detector"])
        self._values, self._silent = list(state["values"]), state["silent"]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
