"""A recorded run in Weights & Biases, as if it had been logged while it ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lifelong.config import RecordSettings
from lifelong.config.errors import Report
from lifelong.config.plain import Unfit, check
from lifelong.config.source import read_file
from lifelong.events import RunStarted
from lifelong.record.folder import REFERENCE, RunFolder
from lifelong.record.jsonl import events_in
from lifelong.record.sound import sound
from lifelong.record.wandb_run import Mode, is_open
from lifelong.record.wandb_sink import WandbLost, WandbSink, name_of


def replay(
    run: Path, mode: Mode = "auto", project: str | None = None, group: str | None = None, name: str | None = None
) -> list[str]:
    """Log a recorded run, and the reference run inside it first, to W&B; gives the names that they have there.

    Project, group, tags and which files go there are what the run's config.yaml says, where nothing else is given; that
    it was recorded with wandb disabled does not matter. Where a W&B run is open already, the run is logged into it, and
    its reference is not. Raises FileNotFoundError where no run was recorded, ValueError where its record is damaged,
    ConnectionError where W&B cannot be written to any more.
    """
    folder = RunFolder(run).require()
    inside = RunFolder(run / REFERENCE)
    names = []
    if inside.has_record and not is_open():
        names.append(_log(inside, "reference", mode, project, group, None if name is None else f"{name}-{REFERENCE}"))
    is_reference = run.resolve().name == REFERENCE and RunFolder(run.resolve().parent).config.is_file()
    return [*names, _log(folder, "reference" if is_reference else "agent", mode, project, group, name)]


def _log(folder: RunFolder, job_type: str, mode: Mode, project: str | None, group: str | None, name: str | None) -> str:
    # To its end: what is damaged is said before anything is sent.
    events = [event for _, event in sound(folder.events, events_in(folder.events)) if isinstance(event, RunStarted)]
    started = next(iter(events), None)
    if started is None:
        raise ValueError(f"{folder.events} has no RunStarted: nothing was lived through yet, or its head is cut off.")
    if folder.summary.exists():
        folder.read_summary()
    config: dict[str, Any] = read_file(folder.config, Report(str(folder.config))) if folder.config.is_file() else {}
    kept = _kept(config.get("record"))
    name = name or name_of(started)
    try:
        sink = WandbSink(
            folder.path,
            mode,
            project or kept.project,
            group or kept.group,
            kept.tags,
            name,
            config,
            events_in(folder.events),
            job_type,
            kept.artifacts,
        )
        sink.close()
    except WandbLost as error:
        raise ConnectionError(str(error)) from error
    return name


def _kept(section: Any) -> RecordSettings:
    """What a configuration says of the record, and the defaults where it is damaged: the run is over."""
    try:
        known = {key: value for key, value in (section or {}).items() if key in RecordSettings.__dataclass_fields__}
        checked: RecordSettings = check(RecordSettings, known)
    except (Unfit, AttributeError):
        return RecordSettings()
    return checked
