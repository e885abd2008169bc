"""A detector of falls, so that what holds of rises can be asked of it."""

from __future__ import annotations

from typing import Any

from lifelong.shift.detector import Shift
from lifelong.shift.falling import Falling


class UpsideDown:
    """Shows `Falling` the negated values."""

    def __init__(self, cooldown: int = 0) -> None:
        self.cooldown, self.falling = cooldown, Falling(cooldown=cooldown)

    @property
    def statistic(self) -> float:
        return self.falling.statistic

    @property
    def threshold(self) -> float:
        return self.falling.threshold

    def update(self, value: float) -> Shift | None:
        return self.falling.update(-value)

    def rearm(self) -> None:
        self.falling.rearm()

    def reset(self) -> None:
        self.falling.reset()

    def state_dict(self) -> dict[str, Any]:
        return self.falling.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.falling.load_state_dict(state)
