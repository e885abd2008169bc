"""A cheap trigger and a strict test: an alarm counts when the values since its onset really lie above those before."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector, Shift, must_detect
from lifelong.shift.onset import LONGEST_RUN
from lifelong.shift.rank_sum import rank_sum


def _nervous() -> Detector:
    return Cusum(threshold=8.0)


@dataclass(slots=True)
class Confirmed:
    """Holds the alarms of a trigger to a rank-sum test of the values since the onset against those before it.

    trigger: any detector of rises; it may be nervous. significance: the largest p-value that confirms. least: values
    since the onset that the test waits for. memory: values before the onset that it is shown at most. cooldown: silent
    values after a rearm. An alarm that is not confirmed is dropped and the trigger rearmed. `statistic` is the test's
    z-score, 0 while nothing is suspected, and the threshold that of the significance.

    Ranks know no size: heavy tails and outliers count like any value. The test supposes independent values, so a
    p-value of an autocorrelated loss is too small, and one after a trigger is no error rate of the whole.
    """

    trigger: Detector = field(default_factory=_nervous)
    significance: float = 0.001
    least: int = 6
    memory: int = 50
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _values: list[float] = field(default_factory=list, init=False, repr=False)
    _since: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        must_detect("trigger of Confirmed", self.trigger)
        if not 0 < self.significance < 0.5:
            raise ValueError(f"Confirmed needs 0 < significance < 0.5, got significance={self.significance}.")
        if not (1 <= self.least <= LONGEST_RUN and self.memory >= self.least and self.cooldown >= 0):
            raise ValueError(
                f"Confirmed needs 1 <= least <= {LONGEST_RUN}, memory >= least and cooldown >= 0, got "
                f"least={self.least}, memory={self.memory}, cooldown={self.cooldown}."
            )
        if rank_sum(range(self.memory), range(self.memory, self.memory + self.least)) <= self.threshold:
            raise ValueError(
                f"{self.least} values since the onset can never be so unlike {self.memory} before it that p is below "
                f"significance={self.significance}. Raise least or significance."
            )

    @property
    def threshold(self) -> float:
        return -statistics.NormalDist().inv_cdf(self.significance)

    def update(self, value: float) -> Shift | None:
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        # What is not a number ranks highest, whatever its sign.
        self._values.append(value if abs(value) < 1e100 else 1e100)
        del self._values[: -(self.memory + LONGEST_RUN)]
        shift = self.trigger.update(value)
        if self._since:
            self._since = min(self._since + 1, LONGEST_RUN)
        elif shift is not None:
            self._since = min(shift.onset, LONGEST_RUN)
        if not self._since or self._since < self.least:
            return None
        before, since = self._values[: -self._since][-self.memory :], self._values[-self._since :]
        self.statistic = rank_sum(before, since) if before else 0.0
        if self.statistic <= self.threshold:
            self._drop()
        elif not silent:
            return Shift(self._since, self.statistic, self.threshold)
        return None

    def _drop(self) -> None:
        self.trigger.rearm()
        self._since, self.statistic = 0, 0.0

    def rearm(self) -> None:
        self._drop()
        self._silent = self.cooldown

    def reset(self) -> None:
        self.trigger.reset()
        self.statistic, self._values, self._since, self._silent = 0.0, [], 0, 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "values": list(self._values),
            "since": self._since,
            "silent": self._silent,
            "trigger": self.trigger.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._values = state["statistic"], list(state["values"])
        self._since, self._silent = state["since"], state["silent"]
        self.trigger.load_state_dict(state["trigger"])
