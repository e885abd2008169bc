"""A whole study, from a configuration to its tables: what is finished is read, what is not is run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from lifelong.config import Resolved
from lifelong.record.folder import RunFolder
from lifelong.runs import write_report
from lifelong.stopping import end_on_signals
from lifelong.study.console import Progress, show
from lifelong.study.devices import usual_jobs, visible_gpus
from lifelong.study.engine import Ended, Engine
from lifelong.study.grid import able, held, state_of
from lifelong.study.job import Job
from lifelong.study.page import write_page
from lifelong.study.plan import Cell, Plan, plan_study
from lifelong.study.references import REFERENCES
from lifelong.study.results import Results, read_results
from lifelong.study.writers import write_tables

EngineName = Literal["local", "ray", "here"]
LOG = "workers.log"


def study(
    resolved: Resolved,
    out: Path,
    seeds: Sequence[int],
    engine: Engine,
    *,
    asked: Sequence[str] = (),
    references: Sequence[str] = REFERENCES,
    baseline: str | None = None,
) -> Results:
    """Run every cell that is not finished, write the tables and the page into `out`, show what came out.

    asked, references, baseline: see `plan_study`. Raises ValueError for what cannot be run, FileExistsError where a
    cell's folder holds a run of another configuration, GridStopped where a signal ended it.
    """
    plan = plan_study(resolved, out, seeds, asked, references, baseline)
    states = {(cell.contender.label, cell.seed): state_of(cell) for cell in plan.cells()}
    open_ = {label for (label, _), state in states.items() if state != "finished"}
    plan = plan.without(able(c for c in plan.contenders if c.label in open_))
    with held(out), end_on_signals():
        cells = list(plan.cells())
        todo = [cell for cell in cells if states[cell.contender.label, cell.seed] != "finished"]
        failures = _run(plan, todo, len(cells) - len(todo), engine) if todo else {}
        results = read_results(plan, failures)
        for cell in cells:
            _complete(cell)
        write_tables(results, out)
        write_page(results, out / "study.html")
    show(results)
    print(f"\nStudy: {out / 'study.html'}")
    return results


def _run(plan: Plan, todo: Sequence[Cell], before: int, engine: Engine) -> dict[tuple[str, int], str]:
    """Run cells; returns why some of them failed, by label and seed."""
    jobs = [job_of(cell) for cell in todo]
    failures = {}
    progress = Progress(todo, before, min(engine.jobs, len(todo)))
    with progress.shown(), closing(engine.run(jobs)) as happening:
        for happened in happening:
            progress.on(happened)
            if isinstance(happened, Ended) and happened.error is not None:
                cell = todo[happened.place]
                failures[cell.contender.label, cell.seed] = happened.error
    return failures


def _complete(cell: Cell) -> None:
    """A run that was ended between its last two files has numbers and no report."""
    folder = RunFolder(cell.path)
    if cell.settings["record"]["report"] and folder.summary.is_file() and not folder.report.is_file():
        write_report([folder.path])


def job_of(cell: Cell) -> Job:
    """A cell as a worker is given it."""
    source = cell.contender.config.path.resolve()
    label, is_reference = cell.contender.label, cell.contender.is_reference
    return Job(cell.settings, str(source), str(cell.path.resolve()), label, os.getcwd(), is_reference)


def engine_of(name: EngineName, resolved: Resolved, out: Path, jobs: int | None = None) -> Engine:
    """What runs a study's cells. jobs: how many at a time (None: one to a GPU, or to a core).

    Raises ValueError where there is none at a time, or Ray is asked for and not installed.
    """
    if name == "here":
        from lifelong.study.engine_here import HereEngine

        return HereEngine()
    gpus = visible_gpus(resolved.as_dict()["device"])
    many = usual_jobs(gpus) if jobs is None else jobs
    if name == "ray":
        from lifelong.study.engine_ray import RayEngine

        return RayEngine(many, gpus)
    from lifelong.study.engine_local import LocalEngine

    return LocalEngine(many, gpus, out / LOG)
