"""Cells in this very process, one after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from lifelong.study.engine import Ended, Started
from lifelong.study.job import Job, attempt


class HereEngine:
    """Runs one cell at a time, without a process of its own: for short runs, whose start would take longer."""

    @property
    def jobs(self) -> int:
        return 1

    def run(self, jobs: Sequence[Job]) -> Generator[Started | Ended, None, None]:
        for place, job in enumerate(jobs):
            yield Started(place)
            yield Ended(place, attempt(job))
