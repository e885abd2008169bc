"""The contract of a shift detector: one number in, and now and then the news that the world has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

Sides = Literal["rises", "both"]
"""Which changes count, of detectors that can tell: those for the worse alone, or any."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The values no longer come from where they came from. `onset`: how many values ago it began (1: the last one)."""

    onset: int
    statistic: float
    threshold: float

    def __post_init__(self) -> None:
        if self.onset < 1:
            raise ValueError(f"A shift began at least one value ago (with the last one), got onset={self.onset}.")


@runtime_checkable
class Detector(Protocol):
    """Watches a stream of surprise values (a loss, an error: larger is worse), one at a time, in constant memory.

    `statistic` is what the detector holds against the last value and `threshold` the bound above which it speaks up.
    Grace: after a start or `reset` a detector first learns its reference and never fires. Cool-down: after `rearm` it
    goes on comparing but stays silent for the `cooldown` values of its settings, so that an alarm that was dismissed is
    not raised again at once.
    """

    @property
    def statistic(self) -> float: ...

    @property
    def threshold(self) -> float: ...

    def update(self, value: float) -> Shift | None:
        """Take one value in; a `Shift` if, with this value, the evidence for a change is enough."""
        ...

    def rearm(self) -> None:
        """Drop the suspicion and keep the reference: the world that it knows is back."""
        ...

    def reset(self) -> None:
        """Forget everything: another world begins and its reference must be learned anew."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def must_detect(what: str, given: object) -> None:
    """Raises a ValueError that names `what` was given where it is no detector, such as the class of one."""
    if isinstance(given, type):
        raise ValueError(f"{what} must be a detector, got the class {given.__name__}: write {given.__name__}().")
    if not isinstance(given, Detector):
        raise ValueError(f"{what} must be a detector, such as Cusum(), got {given!r}.")


def must_be_sides(sides: object) -> None:
    """Raises a ValueError where no such sides are known."""
    if sides not in get_args(Sides):
        raise ValueError(f"sides must be one of {', '.join(get_args(Sides))}, got {sides!r}.")
