"""What Stable-Baselines3 logs, kept for our record: no tensorboard, no files, and nothing that comes from the clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger

CLOCK = ("time/fps", "time/time_elapsed")


class Sayings(KVWriter):
    """Keeps the last value of everything that an algorithm logs."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self.logger = Logger(folder=None, output_formats=[self])

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        for key, value in key_values.items():
            if key not in CLOCK and _is_number(value):
                self._values[key] = float(f"{float(value):.6g}")

    def close(self) -> None:
        """There is nothing to close."""

    def taken(self) -> dict[str, float]:
        """What was said since the last time."""
        values, self._values = self._values, {}
        return values

    def state_dict(self) -> dict[str, Any]:
        """What was said, and what was noted to be said; in order, for that is how it is recorded.

        Of a mean (`record_mean`) also over how many values it is so far.
        """
        noted = {key: float(value) for key, value in self.logger.name_to_value.items() if _is_number(value)}
        return {"values": dict(self._values), "noted": noted, "counts": dict(self.logger.name_to_count)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._values = dict(state["values"])
        self.logger.name_to_value.clear()
        for key, value in state["noted"].items():
            self.logger.record(key, value)
        self.logger.name_to_count.clear()
        self.logger.name_to_count.update(state["counts"])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (hasattr(value, "item") and np.size(value) == 1)
