"""analysis.html and analysis.json: everything that papers ask of these runs and that their records can tell."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from lifelong.evaluation.analysis.capacity import capacity_of, held_share
from lifelong.evaluation.analysis.pairs import is_pair, transfers_of
from lifelong.evaluation.analysis.plasticity import lessons_of, trend_of
from lifelong.evaluation.analysis.probe import probes_of
from lifelong.evaluation.analysis.settings import Level, by_setting, differing, value_of
from lifelong.evaluation.analysis.similarity import Alike, Dropped, correlation, drops_of
from lifelong.evaluation.analysis.stability_gap import stability_of
from lifelong.record import analysis_sections as sections
from lifelong.record import html
from lifelong.record.doubts import doubted
from lifelong.record.folder import REFERENCE, RunFolder
from lifelong.record.measures import names_of, verdict
from lifelong.record.plain import encode
from lifelong.record.runs import RecordedRun, read_run
from lifelong.record.svg import drawing

METRICS = {"acc": "ACC", "learning_accuracy": "Learning accuracy", "forgetting": "Forgetting"}


@dataclass(frozen=True, slots=True)
class _Analysed:
    """Runs with their names, their references (one for each run, or none), and how alike a run's tasks are."""

    runs: list[RecordedRun]
    names: list[str]
    references: list[RecordedRun]
    grey: list[str]
    alike: Mapping[Path, Alike]

    def drops(self, run: RecordedRun) -> list[Dropped]:
        return drops_of(run.matrix, self.alike[run.path]) if run.path in self.alike else []

    def has_pairs(self) -> bool:
        """Whether there are runs over two pairs of tasks or more, of one agent on one stream."""
        pairs = [run for run in self.runs if is_pair(run.trace)]
        return len(pairs) > 1 and len({(run.summary.agent, run.summary.stream) for run in pairs}) == 1

    def settings(self) -> tuple[list[dict[str, Any]], list[str]]:
        """The configurations of the runs, and where they differ; nowhere where a run has no config.yaml."""
        return _settings_of(self.runs)


def write_analysis(
    folders: Sequence[Path], out: Path, alike: Mapping[Path, Alike] | None = None, measure: str = ""
) -> None:
    """Write `out`, a page that needs nothing but itself, and beside it the same numbers as JSON.

    alike: similarities of the tasks of a run, by the run's folder, and `measure`, what they are. The same folders give
    the same bytes. Raises FileNotFoundError for a folder without a run, ValueError for a damaged record or no folder.
    """
    if not folders:
        raise ValueError("There is no run to analyse: give at least one run folder.")
    runs = [read_run(folder) for folder in folders]
    inside = [folder / REFERENCE for folder in folders]
    whole = all(RunFolder(path).has_record for path in inside)
    references = [read_run(path) for path in inside] if whole and not set(inside) & set(folders) else []
    names = names_of([run.summary for run in [*runs, *references]])
    found = _Analysed(runs, _told_apart(runs, names[: len(runs)]), references, names[len(runs) :], alike or {})
    out.with_suffix(".json").write_text(
        json.dumps(_numbers(found, measure), indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    out.write_text(_page(found, measure), encoding="utf-8")


def _settings_of(runs: Sequence[RecordedRun]) -> tuple[list[dict[str, Any]], list[str]]:
    configs = [_settings_in(run.config) for run in runs]
    return configs, differing(configs) if len(configs) > 1 and all(configs) else []


class _Plain(yaml.SafeLoader):
    """YAML without aliases, as runs write it: a few of them can mean more values than there is memory for."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def _settings_in(text: str) -> dict[str, Any]:
    """What a config.yaml says; nothing where it is damaged."""
    try:
        found = yaml.load(text, Loader=_Plain)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


LONGEST_NAME = 24
"""Letters of a setting's value that can still name a run."""


def _told_apart(runs: Sequence[RecordedRun], names: list[str]) -> list[str]:
    """Runs that differ in one setting are named by its value, and by the seed where that is not enough."""
    configs, settings = _settings_of(runs)
    if len(settings) != 1:
        return names
    values = [value_of(config, settings[0]) for config in configs]
    if any(len(value) > LONGEST_NAME for value in values):
        return names
    several = len(set(values)) < len(values)
    return [f"{value}, seed {run.summary.seed}" if several else value for value, run in zip(values, runs, strict=True)]


def _known(values: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in values.tolist()]


def _page(found: _Analysed, measure: str) -> str:
    runs, percent = found.runs, found.runs[0].summary.percent
    title = f"Analysis of {found.names[0]}" if len(runs) == 1 else f"Analysis of {len(runs)} runs"
    facts = [("stream", ", ".join(dict.fromkeys(run.summary.stream for run in runs))), ("runs", ", ".join(found.names))]
    with drawing():
        body = [
            html.header(title, facts, verdict([run.summary for run in runs])),
            *map(html.warning, doubted({n: [run.summary] for n, run in zip(found.names, runs, strict=True)})),
            sections.plasticity_section(runs, found.names, found.references, found.grey),
        ]
        if found.has_pairs():
            body.append(sections.transfer_section(transfers_of([run.trace for run in runs]), percent))
        body += _settings(found, percent)
        for place, (run, name) in enumerate(zip(runs, found.names, strict=True)):
            body += [
                sections.stability_section(run, name, place),
                sections.probe_section(run, name, place),
                sections.capacity_section(run, name, place),
            ]
            if run.path in found.alike:
                body.append(sections.similarity_section(found.drops(run), measure, name, place, run.summary.percent))
    return html.page(title, "".join(body))


def _settings(found: _Analysed, percent: bool) -> list[str]:
    names = found.settings()[1]
    if len(names) > 1:
        return [html.warning(f"These runs differ in {', '.join(names)}: where it is one setting, it is drawn here.")]
    return [
        sections.setting_section(levels, names[0], METRICS[metric], metric, percent)
        for metric, levels in _levels(found).items()
    ]


def _levels(found: _Analysed) -> dict[str, list[Level]]:
    """The metrics by the one setting that runs differ in; nothing where there is not one."""
    configs, names = found.settings()
    if len(names) != 1:
        return {}
    values = {metric: [getattr(run.summary, metric) for run in found.runs] for metric in METRICS}
    levels = {metric: by_setting(configs, known, names[0]) for metric, known in values.items()}
    return {metric: found for metric, found in levels.items() if found}


def _numbers(found: _Analysed, measure: str) -> dict[str, Any]:
    setting = found.settings()[1]
    pairs = transfers_of([run.trace for run in found.runs]) if found.has_pairs() else None
    return {
        "runs": [_of_run(found, place, measure) for place in range(len(found.runs))],
        "transfers": None
        if pairs is None
        else encode(
            {
                "tasks": pairs.tasks,
                "forward": _known(pairs.forward),
                "backward": _known(pairs.backward),
                "runs": pairs.runs.tolist(),
            }
        ),
        "setting": setting[0] if len(setting) == 1 else None,
        "by_setting": encode(_levels(found)),
    }


def _of_run(found: _Analysed, place: int, measure: str) -> dict[str, Any]:
    run, lessons = found.runs[place], lessons_of(found.runs[place].trace)
    reference = lessons_of(found.references[place].trace) if found.references else None
    stability, drops = stability_of(run.trace), found.drops(run)
    return {
        "name": found.names[place],
        "agent": run.summary.agent,
        "stream": run.summary.stream,
        "seed": run.summary.seed,
        "plasticity": {
            "lessons": encode(lessons),
            "slopes": encode(trend_of(lessons)),
            "slopes_against_reference": None if reference is None else encode(trend_of(lessons, reference)),
        },
        "stability": {**encode(stability), "depth": stability.depth, "recovered": stability.recovered},
        "capacity": {"layers": encode(capacity_of(run.trace)), "held_share": held_share(run.trace)},
        "probes": encode(probes_of(run.trace)),
        "similarity": None
        if run.path not in found.alike
        else {"measure": measure, "spearman": correlation(drops), "drops": encode(drops)},
    }
