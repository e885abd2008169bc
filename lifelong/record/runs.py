"""A recorded run, read back from its folder: all that tables and figures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lifelong.evaluation.matrix import ScoreMatrix, matrix_of
from lifelong.evaluation.summary import Summary, summary_of
from lifelong.evaluation.trace import Trace, trace_of
from lifelong.record.folder import RunFolder
from lifelong.record.jsonl import events_in
from lifelong.record.sound import sound


@dataclass(frozen=True, slots=True, eq=False)
class RecordedRun:
    """One run. `config` is the text of its config.yaml, empty where there is none; `path` is its folder."""

    trace: Trace
    matrix: ScoreMatrix
    summary: Summary
    config: str
    path: Path


def read_run(path: Path) -> RecordedRun:
    """Read a run's folder; the headline numbers come from the events, time and versions from summary.json.

    An interrupted run has no summary.json, its time is then 0. Raises FileNotFoundError where no run was
    recorded, ValueError where a file in it is damaged.
    """
    folder = RunFolder(path).require()
    try:
        trace = trace_of(sound(folder.events, events_in(folder.events)))
    except ValueError as error:
        raise error if str(path) in str(error) else ValueError(f"{folder.events}: {error}") from error
    try:
        written = folder.read_summary()
        seconds, cpu, versions = written.wall_seconds, written.cpu_seconds, written.versions
    except FileNotFoundError:
        seconds, cpu, versions = 0.0, None, {}
    # Nothing but the page shows it, and a damaged one as it is.
    config = folder.config.read_text(encoding="utf-8", errors="replace") if folder.config.is_file() else ""
    return RecordedRun(trace, matrix_of(trace), summary_of(trace, seconds, versions, cpu), config, path)
