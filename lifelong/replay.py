"""A recorded run in Weights & Biases, as if it had been logged while it ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lifelong.config.errors import Report
from lifelong.config.source import read_file
from lifelong.events import RunStarted
from lifelong.record.folder import REFERENCE, RunFolder
from lifelong.record.jsonl import events_in
from lifelong.record.wandb_run import Mode, is_open
from lifelong.record.wandb_sink import WandbSink, name_of


def replay(
    run: Path, mode: Mode = "auto", project: str | None = None, group: str | None = None, name: str | None = None
) -> list[str]:
    """Log a recorded run, and the reference run inside it first, to W&B; gives the names that they have there.

    Project, group, tags and which files go there are what the run's config.yaml says, where nothing else is given; that
    it was recorded with wandb disabled does not matter. Where a W&B run is open already, the run is logged into it, and
    its reference is not. Raises FileNotFoundError where no run was recorded, ValueError where its record is damaged.
    """
    folder = RunFolder(run).require()
    inside = RunFolder(run / REFERENCE)
    names = []
    if inside.has_record and not is_open():
        names.append(_log(inside, "reference", mode, project, group, None if name is None else f"{name}-{REFERENCE}"))
    is_reference = run.resolve().name == REFERENCE and RunFolder(run.resolve().parent).config.is_file()
    return [*names, _log(folder, "reference" if is_reference else "agent", mode, project, group, name)]


def _log(folder: RunFolder, job_type: str, mode: Mode, project: str | None, group: str | None, name: str | None) -> str:
    started = next((event for _, event in events_in(folder.events) if isinstance(event, RunStarted)), None)
    if started is None:
        raise ValueError(f"{folder.events} has no RunStarted: nothing was lived through yet, or its head is cut off.")
    config: dict[str, Any] = read_file(folder.config, Report(str(folder.config))) if folder.config.is_file() else {}
    kept: dict[str, Any] = config.get("record") or {}
    name = name or name_of(started)
    sink = WandbSink(
        folder.path,
        mode,
        project or kept.get("project", "lifelong"),
        group or kept.get("group"),
        tuple(kept.get("tags", ())),
        name,
        config,
        events_in(folder.events),
        job_type,
        kept.get("artifacts", "all"),
    )
    sink.close()
    return name
