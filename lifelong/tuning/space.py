"""What may vary while settings are looked for, spelled on the command line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from lifelong.config.errors import Report
from lifelong.config.source import read_text

EXAMPLES = "agent.optimizer.lr=1e-4:1e-1:log, agent.memory=200:2000 or agent.share=never,auto"
_RANGE = re.compile(r"([^:,]+):([^:,]+)(:log)?")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, whole ones where both ends are; `log`: evenly spread in their logarithm."""

    key: str
    low: float
    high: float
    log: bool

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values; `texts` is how they were written, as YAML."""

    key: str
    texts: tuple[str, ...]


Dimension = Range | Choice


def dimension(text: str) -> Dimension:
    """`key.path=low:high[:log]` or `key.path=a,b,c`. Raises ValueError for anything else."""
    key, equals, values = text.partition("=")
    key = key.strip()
    if not equals or not values or not key.startswith("agent."):
        raise ValueError(f"got --space {text}, expected a setting of the agent and its values, such as {EXAMPLES}.")
    if match := _RANGE.fullmatch(values):
        low, high = value_of(match[1]), value_of(match[2])
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
        if not numbers or not low < high or (match[3] and low <= 0):
            above = ", both above 0" if match[3] else ""
            raise ValueError(f"got --space {text}, expected two numbers, the smaller one first{above}.")
        return Range(key, low, high, bool(match[3]))
    try:
        found = value_of(f"[{values}]")
    except ValueError:
        found = []
    texts = tuple(item if isinstance(item, str) else json.dumps(item) for item in found)
    if len(set(texts)) < max(2, len(texts)) or None in found:
        raise ValueError(f"got --space {text}, expected a range low:high[:log], or two values or more: a,b,c.")
    return Choice(key, texts)


def value_of(text: str) -> Any:
    """A value as a configuration would read it. Raises ConfigError for what is no YAML."""
    report = Report("command line")
    value = read_text(text, report, lines={})
    report.stop_if_any()
    return value
