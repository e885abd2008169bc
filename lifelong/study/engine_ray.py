"""Cells as tasks of Ray (optional: lifelong[ray]): on this machine, or on a cluster whose machines share the folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from lifelong.study.engine import Ended, Started
from lifelong.study.job import Job, attempt, failed


class RayEngine:
    """Runs cells as Ray tasks, `jobs` at a time, on the cluster that RAY_ADDRESS names or on this machine alone.

    Raises ValueError where Ray is not installed.
    """

    def __init__(self, jobs: int, gpus: tuple[str, ...]) -> None:
        if jobs < 1:
            raise ValueError(f"At least one cell must run at a time, got --jobs {jobs}.")
        try:
            import ray
        except ImportError as error:
            raise ValueError("--engine ray needs Ray, which is not installed: pip install 'lifelong[ray]'.") from error
        self._ray: Any = ray
        self._jobs, self._gpus = jobs, gpus

    @property
    def jobs(self) -> int:
        return self._jobs

    def run(self, jobs: Sequence[Job]) -> Generator[Started | Ended, None, None]:
        ray = self._ray
        ours = not ray.is_initialized()
        # As a process of this machine would find them: relative places mean others where Ray works.
        modules = os.pathsep.join(os.path.abspath(place) for place in sys.path)
        told = {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}
        environment = told | {"OMP_NUM_THREADS": "1", "PYTHONPATH": modules}
        if ours:
            size = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": self._jobs, "include_dashboard": False}
            ray.init(log_to_driver=False, logging_level="error", runtime_env={"env_vars": environment}, **size)
        try:
            yield from self._run(jobs)
        finally:
            if ours:
                ray.shutdown()

    def _run(self, jobs: Sequence[Job]) -> Generator[Started | Ended, None, None]:
        ray = self._ray
        # A task that failed has left its folder as it is for the next start: Ray must not start it over.
        share = len(self._gpus) / self._jobs if self._gpus else 0
        remote = ray.remote(num_cpus=1, num_gpus=min(share, 1) if share else 0, max_retries=0)(attempt)
        running: dict[Any, int] = {}
        left = list(range(len(jobs)))
        while left or running:
            while left and len(running) < self._jobs:
                place = left.pop(0)
                running[remote.remote(jobs[place])] = place
                yield Started(place)
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                place = running.pop(reference)
                try:
                    error = ray.get(reference)
                except ray.exceptions.RayError as died:
                    first = str(died).strip().splitlines()[-1]
                    error = failed(Path(jobs[place].out), f"The Ray worker of this cell died: {first}", str(died))
                yield Ended(place, error)
