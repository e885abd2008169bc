"""TAME's rule for noticing a shift and knowing a world again: a loss against the band of an expert's own losses.

Source: Zhu et al. 2022 (arXiv 2210.03869), section 3.1. Unlike a `Detector`, a band also judges losses that it does not
take in: those of an expert that rests.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Band:
    """The settings: what counts as a loss of one's own world.

    window: latest losses of which mean and spread are taken. smoothing: weight of the newest loss in the moving average
    that is tested. deviations: how far above the mean the average may rise. floor: the least spread. grace: losses
    after a start during which nothing is noticed (0 as published, where outputs are bounded by a sigmoid).
    """

    window: int = 100
    smoothing: float = 0.2
    deviations: float = 3.0
    floor: float = 0.005
    grace: int = 0

    def __post_init__(self) -> None:
        if self.window < 1 or self.grace < 0:
            raise ValueError(f"A band needs window >= 1 and grace >= 0 losses, got {self.window} and {self.grace}.")
        if not 0.0 < self.smoothing <= 1.0 or self.deviations < 0 or self.floor < 0:
            raise ValueError(
                f"A band needs smoothing in (0, 1], deviations >= 0 and floor >= 0, got smoothing={self.smoothing}, "
                f"deviations={self.deviations}, floor={self.floor}."
            )


class LossBand:
    """One expert's band. `judge` a loss before learning from it, and `take` it in once this expert has learned it.

    untrained: the loss of guessing, which the window starts with (ln C for C classes).
    """

    def __init__(self, settings: Band, untrained: float) -> None:
        self._settings = settings
        self._losses: deque[float] = deque([untrained], maxlen=settings.window)
        self._smoothed: float | None = None
        self._taken = 0

    @property
    def threshold(self) -> float:
        """Mean plus so many deviations of the window. A band that rests keeps it, for it takes nothing in."""
        count = len(self._losses)
        mean = math.fsum(self._losses) / count
        spread = math.sqrt(math.fsum((loss - mean) ** 2 for loss in self._losses) / count)
        return mean + self._settings.deviations * max(spread, self._settings.floor)

    def judge(self, loss: float) -> float:
        """The moving average with this loss in it, as a share of the threshold: above 1, it is another world's."""
        average = self._average(loss)
        return average / self.threshold if math.isfinite(average) else math.inf

    @property
    def is_young(self) -> bool:
        """Whether nothing is noticed yet."""
        return self._taken < self._settings.grace

    def take(self, loss: float) -> None:
        """The expert has learned what gave this loss."""
        self._smoothed = self._average(loss)
        self._losses.append(loss)
        self._taken += 1

    def _average(self, loss: float) -> float:
        if self._smoothed is None:
            return loss
        return self._settings.smoothing * loss + (1.0 - self._settings.smoothing) * self._smoothed

    def state_dict(self) -> dict[str, Any]:
        return {"losses": list(self._losses), "smoothed": self._smoothed, "taken": self._taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._losses = deque(state["losses"], maxlen=self._settings.window)
        self._smoothed, self._taken = state["smoothed"], state["taken"]
