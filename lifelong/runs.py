"""The commands on runs: run a configuration, go on with one that was stopped, write a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lifelong.config.settings import AgentPlan, Study
from lifelong.config.yaml12 import dump
from lifelong.evaluation.summary import Summary
from lifelong.lifetime import Result, run
from lifelong.record.console import ConsoleView
from lifelong.record.folder import RunFolder
from lifelong.record.report import write_report as write_html
from lifelong.record.subscriber import Subscriber
from lifelong.record.table import show
from lifelong.record.wandb_sink import WandbSink

if TYPE_CHECKING:
    from lifelong.config import Resolved

REFERENCE = "reference"
"""The folder, inside a run's own, of the agent that it is compared with."""


def run_config(resolved: Resolved, out: Path) -> list[Summary]:
    """Run a checked configuration: the reference agent first, if there is one, then the agent. Shows the table."""
    study = resolved.build()
    folder = RunFolder(out)
    if folder.config.exists():
        raise FileExistsError(
            f"{out} already holds a run, and a run is never written over: choose another folder, go on with that run "
            f"(lifelong resume {out}), or remove it first."
        )
    folder.create()
    # Before anything runs, so that a study that is stopped early can be resumed.
    folder.config.write_text(_config_text(folder, resolved.as_dict()), encoding="utf-8")
    return _finish(_run_all(resolved, study, out, resume=False), out)


def resume(folder: Path) -> list[Summary]:
    """Go on with a run where its last good checkpoint stands; what was finished is not run again."""
    from lifelong.config import load_config

    place = RunFolder(folder)
    if not place.config.is_file():
        raise FileNotFoundError(f"{folder} holds no config.yaml: give the folder of a run that was started here.")
    resolved = load_config(place.config)
    return _finish(_run_all(resolved, resolved.build(), folder, resume=True), folder)


def write_report(runs: Sequence[Path], out: Path | None = None, naive: Path | None = None) -> Path:
    """Write report.html for one run, or for several side by side; returns where."""
    target = out or (RunFolder(runs[0]).report if len(runs) == 1 else runs[0].parent / "comparison.html")
    if naive is None and len(runs) == 1 and RunFolder(runs[0] / REFERENCE).events.is_file():
        naive = runs[0] / REFERENCE
    write_html(list(runs), target, naive)
    return target


def _run_all(resolved: Resolved, study: Study, out: Path, resume: bool) -> list[Summary]:
    if study.threads is not None:
        torch.set_num_threads(study.threads)
    summaries = []
    reference = out / REFERENCE if study.reference is not None else None
    if study.reference is not None and reference is not None:
        settings = resolved.as_dict()
        alone = {**settings, "agent": settings["reference"], "reference": None}
        summaries.append(_one(study, study.reference, reference, resume, alone, None))
    summaries.append(_one(study, study.agent, out, resume, resolved.as_dict(), reference))
    return summaries


def _one(
    study: Study, plan: AgentPlan, out: Path, resume: bool, settings: dict[str, Any], naive: Path | None
) -> Summary:
    folder = RunFolder(out)
    if resume and folder.summary.is_file():
        return folder.read_summary()
    result: Result = run(
        study.stream,
        plan.build(),
        out=out,
        seed=study.seed,
        name=plan.name,
        evaluation=study.schedule,
        subscribers=_watchers(study, plan.name, out, settings),
        flush_every=study.record.flush_every,
        checkpoint_every=study.record.checkpoint_every,
        config=_config_text(folder, settings),
        naive=naive,
        resume=resume and folder.events.is_file(),
        frames=study.record.frames,
    )
    return result.summary


def _watchers(study: Study, agent: str, out: Path, settings: dict[str, Any]) -> list[Subscriber]:
    record = study.record
    watchers: list[Subscriber] = [ConsoleView()] if record.console else []
    if record.wandb != "disabled":
        name = f"{agent}-s{study.seed}"
        watchers.append(WandbSink(out, record.wandb, record.project, record.group, record.tags, name, settings))
    return watchers


def _config_text(folder: RunFolder, settings: dict[str, Any]) -> str:
    return f"# lifelong run {folder.config}\n{dump(settings)}"


def _finish(summaries: list[Summary], out: Path) -> list[Summary]:
    show(summaries)
    print(f"\nReport: {RunFolder(out).report}")
    return summaries
