"""What a study consists of: who takes part, with which settings, on which seeds, and where each cell is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifelong.config import Resolved
from lifelong.config.errors import nearest
from lifelong.config.shared import with_shared
from lifelong.study.references import REFERENCES, reference_of

NAIVE = "naive"

MOST_SEEDS = 10_000
"""In a range: each is a run of every agent."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Who takes part, under which label; `config` is that of the first seed. is_reference: added to compare with."""

    label: str
    config: Resolved
    is_reference: bool = False

    @property
    def folder(self) -> str:
        """The label as a folder's name."""
        return re.sub(r"[^\w.+-]+", "-", self.label).strip("-.") or "agent"


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the grid: `settings` are written out in full, `path` is its folder."""

    contender: Contender
    seed: int
    settings: dict[str, Any]
    path: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """A study: `left_out` names references that cannot take part, and why; `baseline` is a label (None: there is none).

    Raises ValueError where two labels cannot be told apart as folders.
    """

    name: str
    contenders: tuple[Contender, ...]
    seeds: tuple[int, ...]
    baseline: str | None
    left_out: tuple[tuple[str, str], ...]
    out: Path

    def __post_init__(self) -> None:
        folders: dict[str, str] = {}
        for contender in self.contenders:
            other = folders.setdefault(contender.folder.lower(), contender.label)
            if other != contender.label:
                raise ValueError(
                    f"The agents {other!r} and {contender.label!r} would share the folder {contender.folder!r}: "
                    "give one of them another label."
                )

    def cells(self) -> Iterator[Cell]:
        """Every cell, seed by seed, so that an early stop leaves all agents with equally many."""
        settings = {contender.label: contender.config.as_dict() for contender in self.contenders}
        for seed in self.seeds:
            for contender in self.contenders:
                path = self.out / contender.folder / f"seed-{seed}"
                yield Cell(contender, seed, settings[contender.label] | {"seed": seed}, path)

    def without(self, refused: Mapping[str, str]) -> Plan:
        """This study without some references, each of which has a reason."""
        return replace(
            self,
            contenders=tuple(c for c in self.contenders if c.label not in refused),
            baseline=None if self.baseline in refused else self.baseline,
            left_out=(*self.left_out, *refused.items()),
        )


def plan_study(
    resolved: Resolved,
    out: Path,
    seeds: Sequence[int],
    asked: Sequence[str] = (),
    references: Sequence[str] = REFERENCES,
    baseline: str | None = None,
) -> Plan:
    """Lay out a study of a checked configuration.

    asked: labels of its `agents`, names of other agents or module:Class (none: all of its `agents`, or its `agent`).
    references: those to be added, where they are installed. baseline: the label to compare with (None: the naive
    one). Raises ValueError for what cannot be, ConfigError for settings that do not fit.
    """
    common = _common(resolved, out.resolve().name, seeds[0])
    contenders = [contender_of(resolved, common, label) for label in _labels(resolved, asked)]
    left_out, same_as = [], {}
    for name in references:
        if any(contender.label == name for contender in contenders):
            continue
        changes, why = reference_of(name, resolved)
        if changes is None:
            left_out.append((name, why))
            continue
        reference = Contender(name, resolved.changed(common | changes), is_reference=True)
        twin = next((c for c in contenders if c.config.as_dict() == reference.config.as_dict()), None)
        if twin is None:
            contenders.append(reference)
        else:
            same_as[name] = twin.label
    labels = [contender.label for contender in contenders]
    wanted = baseline or NAIVE
    wanted = same_as.get(wanted, wanted)
    if baseline is not None and wanted not in labels:
        raise ValueError(
            " ".join(
                filter(
                    None,
                    [
                        f"--baseline {baseline!r} takes no part.",
                        nearest(baseline, labels),
                        f"There are: {', '.join(labels)}.",
                    ],
                )
            )
        )
    compared = wanted if wanted in labels else None
    return Plan(out.resolve().name, tuple(contenders), tuple(seeds), compared, tuple(left_out), out)


def seeds_of(text: str) -> tuple[int, ...]:
    """`0-4` or `0,3,7-9` as numbers. Raises ValueError for anything else, and for a seed that is there twice."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last - first >= MOST_SEEDS:
            raise ValueError(f"got --seeds {text}, which are {last - first + 1:,}; {MOST_SEEDS:,} are plenty.")
        if last < first:
            raise ValueError(f"got --seeds {text}, expected whole numbers and ranges of them, such as 0-4 or 0,3,7-9.")
        found += range(first, last + 1)
    if len(set(found)) < len(found):
        raise ValueError(f"got --seeds {text}, in which a seed is there twice.")
    return tuple(found)


def _common(resolved: Resolved, name: str, seed: int) -> dict[str, Any]:
    """What all cells have in common, and a single run has not: silence, and one group in Weights & Biases."""
    record = resolved.as_dict()["record"]
    record |= {"console": False, "group": record["group"] or name}
    return {"reference": None, "agents": {}, "seed": seed, "record": record}


def _labels(resolved: Resolved, asked: Sequence[str]) -> list[str]:
    agents = resolved.as_dict()["agents"]
    if len(set(asked)) < len(asked):
        raise ValueError(f"got --agents {','.join(asked)}, in which an agent is there twice.")
    return list(asked) or list(agents) or [resolved.agent_name]


def contender_of(resolved: Resolved, common: dict[str, Any], label: str) -> Contender:
    """The agent of this label, else the configuration's own of this name, else the one that is called so anywhere."""
    settings = resolved.as_dict()
    if label in settings["agents"]:
        return Contender(label, resolved.changed(common | {"agent": settings["agents"][label]}, label))
    if label == resolved.agent_name:
        return Contender(label, resolved.changed(common))
    try:
        section = with_shared(label, settings["agent"])
    except ValueError as error:
        labels = f" The configuration's own labels: {', '.join(settings['agents'])}." if settings["agents"] else ""
        raise ValueError(f"--agents {label}: {error}{labels}") from error
    return Contender(label.rpartition(":")[2], resolved.changed(common | {"agent": section}))
