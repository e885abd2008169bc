"""Runs that differ in one setting, such as the order of the tasks or the width of the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

IGNORED = ("seed", "device", "threads", "record", "reference", "modules_from")
"""Sections in which runs may differ and are still taken for repetitions of each other."""


@dataclass(frozen=True, slots=True)
class Level:
    """A metric at one value of the setting: over `count` runs its mean and sample standard deviation (None for one)."""

    value: str
    mean: float
    spread: float | None
    count: int


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings, as dotted paths, in which configurations differ; seeds and the like (`IGNORED`) do not count."""
    flat = [dict(_leaves(config)) for config in configs]
    names = dict.fromkeys(name for one in flat for name in one)
    return [name for name in names if len({_text(one.get(name)) for one in flat}) > 1]


def value_of(config: Mapping[str, Any], setting: str) -> str:
    """One setting as text, as it is written on the command line; null where it is not there."""
    return _text(dict(_leaves(config)).get(setting))


def by_setting(configs: Sequence[Mapping[str, Any]], values: Sequence[float | None], setting: str) -> list[Level]:
    """The metric's values by the values of one setting, numbers in ascending order, all else as it came.

    A value of None is left out. Raises ValueError where configurations differ in more than that setting, for then
    nobody can tell what made the difference.
    """
    others = [name for name in differing(configs) if name != setting]
    if others:
        raise ValueError(
            f"These runs differ in {', '.join(others)} too, not in {setting} alone: compare fewer of them."
        )
    groups: dict[str, list[float]] = {}
    for config, value in zip(configs, values, strict=True):
        if value is not None:
            groups.setdefault(value_of(config, setting), []).append(value)
    return [
        Level(text, mean(group), stdev(group) if len(group) > 1 else None, len(group))
        for text, group in sorted(groups.items(), key=lambda item: _rank(item[0]))
    ]


def _leaves(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(config, Mapping) and config:
        for name, value in config.items():
            if path or name not in IGNORED:
                yield from _leaves(value, f"{path}.{name}" if path else str(name))
    else:
        yield path, config


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rank(text: str) -> tuple[float, ...]:
    """Numbers, and lists of numbers, by size; a stable sort leaves all other values in the order in which they came."""
    try:
        value = json.loads(text)
        return tuple(float(part) for part in (value if isinstance(value, list) else [value]))
    except (ValueError, TypeError):
        return ()
