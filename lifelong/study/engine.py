"""The contract of what runs the cells of a study, and what it tells meanwhile."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lifelong.study.job import Job


@dataclass(frozen=True, slots=True)
class Started:
    """The job in this place of the list has begun."""

    place: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The job in this place is over; `error` says in one line why it failed (None: it did not)."""

    place: int
    error: str | None


class Engine(Protocol):
    """Runs jobs, several at a time. Jobs that fail do not keep others from running."""

    @property
    def jobs(self) -> int:
        """How many run at a time."""
        ...

    def run(self, jobs: Sequence[Job]) -> Generator[Started | Ended, None, None]:
        """Run them all and tell as it goes. When the iterator is closed, those still running are ended."""
        ...
