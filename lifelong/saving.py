"""The settings of how often a run is saved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Saving:
    """How often checkpoints are saved, besides as the run ends or is asked to stop.

    every: experiences between two (None: only time counts). minutes: between two, and more where saving takes long
    (None: only experiences count). keep: how many, of the latest. Raises ValueError for numbers that mean nothing.
    """

    every: int | None = None
    minutes: float | None = 1.0
    keep: int = 2

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"Experiences between two checkpoints must be 1 or more, or null, got {self.every}.")
        if self.minutes is not None and not 0.0 < self.minutes < float("inf"):
            raise ValueError(f"Minutes between two checkpoints must be above 0, or null, got {self.minutes}.")
        if self.keep < 1:
            raise ValueError(f"At least 1 checkpoint must be kept, got {self.keep}.")
