"""When a stream serves which task, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timetable:
    """The order of visits to tasks, and how a visit goes through its task's training samples.

    `order` is "A B C A D", or a list where names hold spaces; null visits each task once. A visit makes
    `epochs` passes in batches of `batch_size`, shuffled anew each pass; the last batch of a pass may be
    smaller, down to one sample, so that nothing is left out. `samples` draws so many training samples for
    each task, the same ones at each visit; null takes all. `ramp` is the number of batches over which a visit
    takes over from the one before: sample by sample, fewer and fewer are still the previous task's; it is no longer
    than the visit. Raises ValueError for numbers below 1 and an order without names.
    """

    order: str | list[str] | None = None
    epochs: int = 1
    batch_size: int = 32
    samples: int | None = None
    ramp: int = 0

    def __post_init__(self) -> None:
        counts = {"epochs": self.epochs, "batch_size": self.batch_size, "samples": self.samples}
        for what, number in counts.items():
            if number is not None and number < 1:
                raise ValueError(f"timetable: {what} must be at least 1, got {number}.")
        if self.ramp < 0:
            raise ValueError(
                f"timetable: ramp must be 0 (tasks change at once) or a number of batches, got {self.ramp}."
            )
        if self.order is not None and not self.named:
            raise ValueError(f'timetable: order {self.order!r} names no task. Write "A B A", or null for each once.')

    @property
    def named(self) -> tuple[str, ...]:
        """The names in `order`, as often as they come; empty where no order is given."""
        return tuple(self.order.split() if isinstance(self.order, str) else self.order or ())

    def visits(self, tasks: Sequence[str]) -> tuple[str, ...]:
        """The tasks to visit, in order, out of those of a stream. Raises ValueError for any other name."""
        for name in self.named:
            if name not in tasks:
                raise ValueError(
                    f"timetable: order names the task {name!r}, but this stream has {', '.join(map(repr, tasks))}."
                )
        return self.named or tuple(tasks)

    def visited(self, tasks: Sequence[str]) -> tuple[str, ...]:
        """The distinct tasks that are visited, in the order of their first visit."""
        return tuple(dict.fromkeys(self.visits(tasks)))


ONCE = Timetable()
"""Each task once, one pass over all of its samples, in batches of 32."""
