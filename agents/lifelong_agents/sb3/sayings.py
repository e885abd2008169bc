"""What Stable-Baselines3 logs, kept for our record: no tensorboard, no files, and nothing that comes from the clock."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.logger import KVWriter, Logger

CLOCK = ("time/fps", "time/time_elapsed")


class Sayings(KVWriter):
    """Keeps the last value of everything that an algorithm logs."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        for key, value in key_values.items():
            if (key not in CLOCK and isinstance(value, (int, float))) or hasattr(value, "item"):
                self._values[key] = float(f"{float(value):.6g}")

    def close(self) -> None:
        """There is nothing to close."""

    def taken(self) -> dict[str, float]:
        """What was said since the last time."""
        values, self._values = self._values, {}
        return values

    def logger(self) -> Logger:
        return Logger(folder=None, output_formats=[self])
