"""An engine without processes."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from lifelong.study.engine import Ended, Started
from lifelong.study.job import Job, attempt


class InProcess:
    """Runs cells here, one after the other: what is tested of a study is the same, and sooner."""

    jobs = 1

    def run(self, jobs: Sequence[Job]) -> Generator[Started | Ended, None, None]:
        for place, job in enumerate(jobs):
            yield Started(place)
            yield Ended(place, attempt(job))
