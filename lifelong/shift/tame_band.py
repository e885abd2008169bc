"""Shift detection by the loss band of TAME: a smoothed loss that leaves the band of the raw ones.

Source: Zhu, Majzoubi, Jain and Choromanska, TAME: task agnostic continual learning using multiple experts
(arXiv 2210.03869), threshold and detection rule; the least deviation of 0.005 is that of their released code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lifelong.shift.detector import Shift

STRANGE = 20.0
"""Band spreads that a value counts for which is not a number, or too large to be squared."""


@dataclass(slots=True)
class TameBand:
    """TAME's band: fires when the smoothed loss exceeds the mean of the latest raw losses by `threshold` spreads.

    threshold: spreads (standard deviations of the window, `floor` at least, in the loss's own unit). window: raw
    losses that make the band. alpha: weight of a new loss in the smoothed one. start: what the window is seeded with,
    such as ln C for C classes (null: nothing). warmup: values before which it never fires; the paper has none, for its
    sigmoid outputs keep a fresh expert below ln C. cooldown: silent values after a rearm.

    What breaks it. The smoothed loss of white noise spreads a third of the raw one, so 3 spreads are really 9: mild
    shifts are missed. The values of a new world enter the window before it fires and widen the band faster than the
    smoothed loss rises: of jumps of 10 spreads over a full window most are never found, those beyond about 15 at once,
    and so is a single outlier of that size. The window holds the learning curve: shifts in the first `window`
    values of a task are mostly missed. A ramp is followed by the window and not seen. The floor has a unit.
    """

    threshold: float = 3.0
    window: int = 100
    alpha: float = 0.2
    floor: float = 0.005
    start: float | None = None
    warmup: int = 20
    cooldown: int = 0
    statistic: float = field(default=0.0, init=False)
    _values: list[float] = field(default_factory=list, init=False, repr=False)
    _smoothed: float | None = field(default=None, init=False, repr=False)
    _seen: int = field(default=0, init=False, repr=False)
    _silent: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and 0 < self.alpha <= 1 and self.floor > 0):
            raise ValueError(
                f"TameBand needs threshold > 0, 0 < alpha <= 1 and floor > 0, got threshold={self.threshold}, "
                f"alpha={self.alpha}, floor={self.floor}."
            )
        if self.window < 2 or self.warmup < 0 or self.cooldown < 0:
            raise ValueError(
                f"TameBand needs window >= 2, warmup >= 0 and cooldown >= 0, got window={self.window}, "
                f"warmup={self.warmup}, cooldown={self.cooldown}."
            )
        self.reset()

    def update(self, value: float) -> Shift | None:
        self._seen += 1
        silent, self._silent = self._silent > 0, max(0, self._silent - 1)
        mean, spread = self._band()
        if not abs(value) < 1e100:
            if not self._values:
                return None
            value = mean + STRANGE * spread
        if self._smoothed is None:
            self._smoothed = value
        else:
            self._smoothed += self.alpha * (value - self._smoothed)
        if self._values:
            self.statistic = (self._smoothed - mean) / spread
        if self.statistic > self.threshold and self._seen > self.warmup and not silent:
            return Shift(self._onset(value, mean + self.threshold * spread), self.statistic, self.threshold)
        self._values.append(value)
        del self._values[: -self.window]
        return None

    def _band(self) -> tuple[float, float]:
        """Mean and spread of the window, without the value that is being judged."""
        if not self._values:
            return 0.0, self.floor
        mean = sum(self._values) / len(self._values)
        variance = sum((v - mean) ** 2 for v in self._values) / len(self._values)
        return mean, max(math.sqrt(variance), self.floor)

    def _onset(self, value: float, bound: float) -> int:
        """The last value and those right before it that lie outside the band as well."""
        inside = next((i for i, v in enumerate(reversed(self._values)) if v <= bound), len(self._values))
        return 1 + (inside if value > bound else 0)

    def rearm(self) -> None:
        self.statistic, self._silent = 0.0, self.cooldown
        self._smoothed = self._band()[0] if self._values else None

    def reset(self) -> None:
        self.statistic, self._silent, self._seen, self._smoothed = 0.0, 0, 0, None
        self._values = [] if self.start is None else [self.start]

    def state_dict(self) -> dict[str, Any]:
        return {
            "statistic": self.statistic,
            "values": list(self._values),
            "smoothed": self._smoothed,
            "seen": self._seen,
            "silent": self._silent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.statistic, self._values, self._smoothed = state["statistic"], list(state["values"]), state["smoothed"]
        self._seen, self._silent = state["seen"], state["silent"]
