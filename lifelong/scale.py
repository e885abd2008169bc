"""What a world's returns are measured by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class References:
    """What a task's returns are measured by: those of a random policy, and of an expert trained on this task alone.

    Raises ValueError unless the expert's is above the random one's.
    """

    random: float
    expert: float

    def __post_init__(self) -> None:
        if not self.expert > self.random:
            raise ValueError(
                f"The return of a single-task expert must be above a random policy's, got {self.expert} and "
                f"{self.random}: with these, a normalised return would say nothing."
            )

    def normalised(self, value: float) -> float:
        """0 for the random policy, 1 for the expert; below and above are possible."""
        return (value - self.random) / (self.expert - self.random)
