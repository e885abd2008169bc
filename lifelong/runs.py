"""The commands on runs: run a configuration, go on with one that was stopped, write a report."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from lifelong.beforehand import look_ahead
from lifelong.config.compare import differences
from lifelong.config.settings import AgentPlan, Study
from lifelong.config.yaml12 import dump
from lifelong.evaluation.summary import Summary
from lifelong.lifetime import Result, run
from lifelong.record.console import ConsoleView
from lifelong.record.folder import REFERENCE, RunFolder
from lifelong.record.report import write_report as write_html
from lifelong.record.subscriber import Subscriber
from lifelong.record.table import show
from lifelong.record.wandb_run import is_open
from lifelong.record.wandb_sink import WandbSink
from lifelong.references.cache import Cache
from lifelong.references.table import show_references
from lifelong.references.worlds import Reference, read_references, references_of, write_references
from lifelong.saying import printable
from lifelong.stopping import RunStopped, Stop, stop_on_signals
from lifelong.stream import Live, Task

if TYPE_CHECKING:
    from lifelong.config import Resolved


Role = Literal["agent", "reference"]
"""What a run is in a study, and its job type in Weights & Biases."""


def run_config(resolved: Resolved, out: Path, goes_on: bool = False) -> list[Summary]:
    """Run a checked configuration: the reference agent first, if there is one, then the agent. Shows the table.

    goes_on: where `out` holds a run of this same configuration, go on with it. Raises RunStopped where a signal asks
    the run to stop, once everything is saved.
    """
    folder = RunFolder(out)
    if goes_on and folder.config.exists():
        other = differences(resolved, resolved.as_dict(), folder.config)
        if other:
            raise FileExistsError(
                f"{out} holds a run of another configuration (it differs in {', '.join(other)}): choose another folder."
            )
        return resume(out)
    study = resolved.build()
    if folder.config.exists():
        raise FileExistsError(
            f"{out} already holds a run, and a run is never written over: choose another folder, go on with that run "
            f"(lifelong resume {out}), or remove it first."
        )
    if isinstance(study.stream, Live) and study.reference is not None:
        raise ValueError(
            f"{resolved.path}: the stream {study.stream.name!r} is lived through once, as it comes, so that no "
            "reference can live through it first: leave it out (reference: null)."
        )
    # All of them before the first one runs for an hour.
    # The agent's own mistakes are told as such, also where its reference shares them.
    for section, plan in reversed(study.plans):
        look_ahead(study.stream, plan.build(), f"{section} {plan.name}")
    with folder.locked(), folder.begun(), _stopping(out) as stop:
        # Before anything runs, so that a study that is stopped early can be resumed.
        settings = _grouped(resolved)
        folder.config.write_text(_config_text(folder, settings), encoding="utf-8")
        summaries = _run_all(settings, study, out, stop, resume=False)
    return _finish(summaries, out)


def resume(folder: Path) -> list[Summary]:
    """Go on with a run where its last good checkpoint stands; what was finished is not run again."""
    from lifelong.config import load_config

    place = RunFolder(folder)
    if not place.config.is_file():
        raise FileNotFoundError(f"{folder} holds no config.yaml: give the folder of a run that was started here.")
    resolved = load_config(place.config)
    with place.locked(), _stopping(folder) as stop:
        summaries = _run_all(resolved.as_dict(), resolved.build(), folder, stop, resume=True)
    return _finish(summaries, folder)


def run_quietly(resolved: Resolved, out: Path, name: str, role: Role = "agent") -> Summary:
    """Run a checked configuration's agent under a name of its own, and print nothing.

    What is in `out` already, of this same configuration, is gone on with. role: what it is called beside other runs.
    """
    study = resolved.build()
    torch.set_num_threads(study.threads or 1)
    with _stopping(out) as stop:
        again = RunFolder(out).holds_run()
        return _one(study, study.agent, out, stop, again, resolved.as_dict(), None, name, role)


def write_report(
    runs: Sequence[Path], out: Path | None = None, naive: Path | None = None, alone: Path | None = None
) -> Path:
    """Write report.html for one run, or for several side by side; returns where.

    alone: a file that `measure_references` wrote.
    """
    target = out or (RunFolder(runs[0]).report if len(runs) == 1 else runs[0].parent / "comparison.html")
    if naive is None and len(runs) == 1 and RunFolder(runs[0] / REFERENCE).has_record:
        naive = runs[0] / REFERENCE
    if alone is not None and len(runs) > 1:
        raise ValueError("What was learned alone is shown in the report of one run: give one, or leave the file out.")
    write_html(list(runs), target, naive, [one.alone for one in read_references(alone)] if alone else ())
    return target


def analyse(runs: Sequence[Path], out: Path | None, similarity: Literal["subspace", "means"] | None = None) -> Path:
    """Write analysis.html and analysis.json of one run or several; returns where the page is.

    similarity: also compare the tasks of each run's stream, which is made anew from its config.yaml, by this measure.
    """
    from lifelong.config import load_config
    from lifelong.evaluation.analysis.similarity import similarity_of_tasks
    from lifelong.record.analysis import write_analysis

    places = [RunFolder(run).require() for run in runs]
    target = out or (runs[0] if len(runs) == 1 else runs[0].parent) / "analysis.html"
    alike = {}
    for place in places if similarity is not None else ():
        if not place.config.is_file():
            raise FileNotFoundError(f"{place.path} holds no config.yaml, so its tasks are not known: leave it out.")
        stream = load_config(place.config).build().stream
        tasks = [task for task in stream.tasks if isinstance(task, Task)]
        if len(tasks) < len(stream.tasks):
            raise ValueError(f"{stream.name!r} has worlds to act in, which have no test samples to compare by.")
        alike[place.path] = similarity_of_tasks(tasks, similarity or "subspace")
    write_analysis(list(runs), target, alike, similarity or "")
    return target


def measure_references(
    resolved: Resolved, of_reference: bool, episodes: int, cache: Path | None, out: Path | None
) -> list[Reference]:
    """Measure each world of a configuration's stream: a random policy's return, and what an agent comes to alone.

    of_reference: take the configuration's reference agent instead of its agent. episodes: of the random policy. What
    was measured before is taken from `cache` (None: the user's). out: a JSON file for `write_report`.
    """
    study = resolved.build()
    plan = study.reference if of_reference else study.agent
    if plan is None:
        raise ValueError("This configuration has no reference agent: add one, or measure with its agent.")
    if study.threads is not None:
        torch.set_num_threads(study.threads)
    settings = resolved.as_dict()
    agent = settings["reference" if of_reference else "agent"]
    described = {"stream": settings["stream"], "agent": agent, "device": study.device}
    found = references_of(
        study.stream, plan.build, described, Cache(cache), study.seed, study.schedule, episodes, _told_live(study)
    )
    show_references(found, plan.name)
    if out is not None:
        write_references(found, out)
        print(f"\nFor the report of a run: lifelong report RUN --alone {out}")
    return found


def _told_live(study: Study) -> list[Subscriber]:
    return [ConsoleView()] if study.record.console else []


def _grouped(resolved: Resolved) -> dict[str, Any]:
    """The settings as they are recorded: in W&B, runs of one configuration are a group where nobody says otherwise."""
    settings = resolved.as_dict()
    record = settings["record"]
    return {**settings, "record": {**record, "group": record["group"] or printable(resolved.path.stem)}}


@contextmanager
def _stopping(out: Path) -> Iterator[Stop]:
    """Inside, signals ask to stop; what is to be gone on with then is the folder that the command was given."""
    with stop_on_signals() as stop:
        try:
            yield stop
        except RunStopped as stopped:
            raise RunStopped(stopped.why, stopped.step, out) from None


def _run_all(settings: dict[str, Any], study: Study, out: Path, stop: Stop, resume: bool) -> list[Summary]:
    if study.threads is not None:
        torch.set_num_threads(study.threads)
    summaries = []
    reference = out / REFERENCE if study.reference is not None else None
    if study.reference is not None and reference is not None:
        alone = {**settings, "agent": settings["reference"], "reference": None}
        # Two agents of one name could not be told apart.
        name = f"{REFERENCE}: {study.reference.name}" if study.reference.name == study.agent.name else None
        summaries.append(_one(study, study.reference, reference, stop, resume, alone, None, name, "reference"))
    summaries.append(_one(study, study.agent, out, stop, resume, settings, reference))
    return summaries


def _one(
    study: Study,
    plan: AgentPlan,
    out: Path,
    stop: Stop,
    resume: bool,
    settings: dict[str, Any],
    naive: Path | None,
    name: str | None = None,
    role: Role = "agent",
) -> Summary:
    """Run one of the two agents; `name`: what the record calls it (None: its own)."""
    name = name or plan.name
    folder = RunFolder(out)
    if resume and folder.summary.is_file():
        return folder.read_summary()
    result: Result = run(
        study.stream,
        plan.build(),
        out=out,
        seed=study.seed,
        name=name,
        evaluation=study.schedule,
        subscribers=_watchers(study, name, out, settings, role),
        flush_every=study.record.flush_every,
        saving=study.record.saving,
        stop=stop,
        config=_config_text(folder, settings),
        naive=naive,
        resume=resume and folder.holds_run(),
        frames=study.record.frames,
        report=study.record.report,
        looked_ahead=not resume,
    )
    return result.summary


def _watchers(study: Study, agent: str, out: Path, settings: dict[str, Any], role: Role) -> list[Subscriber]:
    record = study.record
    watchers = _told_live(study)
    if role == "reference" and is_open():
        # Two runs in one would write over each other's curves.
        warnings.warn(
            f"a W&B run is open already, and {agent} is logged nowhere: put it there later with `lifelong wandb {out}`",
            stacklevel=2,
        )
    elif record.wandb != "disabled":
        # A reference may have run for an hour: what only watches must not end the study.
        try:
            watchers.append(_wandb_sink(study, agent, out, settings, role))
        except Exception as error:
            warnings.warn(
                f"Weights & Biases cannot be started ({error}), and {agent} is logged nowhere: put it there later with "
                f"`lifelong wandb {out}`",
                stacklevel=2,
            )
    return watchers


def _wandb_sink(study: Study, agent: str, out: Path, settings: dict[str, Any], role: Role) -> WandbSink:
    record, name = study.record, f"{agent}-s{study.seed}"
    return WandbSink(
        out,
        record.wandb,
        record.project,
        settings["record"]["group"],
        record.tags,
        name,
        settings,
        job_type=role,
        artifacts=record.artifacts,
    )


def _config_text(folder: RunFolder, settings: dict[str, Any]) -> str:
    return f"# lifelong run {printable(str(folder.config), lines=False)}\n{dump(settings)}"


def _finish(summaries: list[Summary], out: Path) -> list[Summary]:
    show(summaries)
    folder = RunFolder(out)
    print(f"\nReport: {folder.report}" if folder.report.is_file() else f"\nRecord: {out}")
    return summaries
