"""When a learner is judged, and on how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often to judge: at the end of every segment on all test samples, and a few times within it on some.

    `within`: evenly spaced looks inside each segment, beside the one at its end. `within_samples`: test
    samples of each task that those looks use (None: all), `within_episodes`: episodes, of tasks that are worlds to act
    in. `batch_size`: samples answered at once while judging. `every`: experiences between two looks in a stream whose
    segments nobody knows. Raises ValueError for numbers out of range.
    """

    within: int = 4
    within_samples: int | None = 500
    within_episodes: int | None = 5
    batch_size: int = 2048
    every: int = 1000

    def __post_init__(self) -> None:
        if self.within < 0:
            raise ValueError(f"within counts the looks inside a segment: give 0 or more, got {self.within}.")
        if self.within_samples is not None and self.within_samples < 1:
            raise ValueError(f"within_samples must be at least 1, or None for all, got {self.within_samples}.")
        if self.within_episodes is not None and self.within_episodes < 1:
            raise ValueError(f"within_episodes must be at least 1, or None for all, got {self.within_episodes}.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}.")
        if self.every < 1:
            raise ValueError(f"every counts experiences: give 1 or more, got {self.every}.")

    def is_due(self, step: int) -> bool | None:
        """Of a stream whose segments nobody knows: False where it is judged after so many experiences, else None."""
        return False if step % self.every == 0 else None

    def looks(self, segment_steps: Sequence[int]) -> dict[int, bool]:
        """The steps at which to judge, ascending, each with True where a segment ends there.

        `segment_steps` holds the length of each segment. Step 0, the untrained learner, is not among them.
        A segment too short for `within` separate looks gets fewer. Raises ValueError for an empty segment.
        """
        due: dict[int, bool] = {}
        start = 0
        for number, steps in enumerate(segment_steps):
            if steps < 1:
                raise ValueError(f"Segment {number} has {steps} steps; a segment needs at least one.")
            for look in range(1, self.within + 1):
                inside = round(steps * look / (self.within + 1))
                if 0 < inside < steps:
                    due[start + inside] = False
            start += steps
            due[start] = True
        return due
