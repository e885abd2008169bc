"""Trials as ordinary runs: settings put into a configuration, and what came of them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifelong.config import Resolved
from lifelong.config.errors import Report
from lifelong.config.overrides import apply
from lifelong.evaluation.summary import Summary
from lifelong.record.doubts import doubts
from lifelong.record.folder import RunFolder
from lifelong.study.engine import Ended, Engine
from lifelong.study.grid import state_of
from lifelong.study.plan import Cell, Contender
from lifelong.study.run import job_of

FIRST = "lifelong.tuning.first:First"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Means over the seeds of a trial. `error`: why it has none. doubts: why they mean less than it seems."""

    acc: float | None
    learning: float | None
    forgetting: float | None
    error: str | None = None
    doubts: tuple[str, ...] = ()


def shortened(resolved: Resolved, segments: int, held_out: float) -> Resolved:
    """The configuration with the first segments of its stream alone, and nobody but its agent."""
    settings = resolved.as_dict()
    stream = {"name": FIRST, "stream": settings["stream"], "segments": segments, "held_out": held_out}
    record = settings["record"] | {"console": False, "wandb": "disabled", "frames": False, "report": False}
    return resolved.changed({"stream": stream, "reference": None, "agents": {}, "record": record})


def with_values(resolved: Resolved, values: Mapping[str, str]) -> Resolved:
    """The configuration with other settings, by their paths, each as YAML. Raises ConfigError where they do not fit."""
    settings = copy.deepcopy(resolved.as_dict())
    report = Report("command line")
    apply(settings, [f"{key}={text}" for key, text in values.items()], report)
    report.stop_if_any()
    return resolved.changed(settings)


def live(resolved: Resolved, seeds: Sequence[int], out: Path, engine: Engine) -> Outcome:
    """Run one trial on every seed, but for the runs that are there already."""
    described = json.dumps({k: v for k, v in resolved.as_dict().items() if k != "record"}, sort_keys=True)
    # Known by what it is, so that the same settings are never run twice.
    folder = out / hashlib.sha256(described.encode()).hexdigest()[:12]
    contender = Contender("trial", resolved)
    settings = resolved.as_dict()
    cells = [Cell(contender, seed, settings | {"seed": seed}, folder / f"seed-{seed}") for seed in seeds]
    todo = [cell for cell in cells if state_of(cell) != "finished"]
    for happened in engine.run([job_of(cell) for cell in todo]):
        if isinstance(happened, Ended) and happened.error is not None:
            return Outcome(None, None, None, happened.error)
    return _mean([RunFolder(cell.path).read_summary() for cell in cells])


def _mean(summaries: Sequence[Summary]) -> Outcome:
    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    return Outcome(
        mean([summary.acc for summary in summaries]),
        mean([summary.learning_accuracy for summary in summaries]),
        mean([summary.forgetting for summary in summaries]),
        doubts=tuple(dict.fromkeys(doubt for summary in summaries for doubt in doubts(summary))),
    )


def written(value: Any) -> str:
    """A number that was suggested, as YAML that reads back as the same."""
    return json.dumps(value)
