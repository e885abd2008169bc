"""What is wrong with a configuration, all of it at once, each with the place where it can be put right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifelong.saying import printable

Key = tuple[str | int, ...]
"""Where a value sits in the configuration: mapping keys and list positions from the top."""

COMMAND_LINE = "command line"
SWEEP = "W&B sweep"
"""Where settings come from that are in no file, as messages say it."""


def dotted(key: Key) -> str:
    """`("stream", "data", 0)` -> `stream.data.0`, the way an override spells it."""
    return ".".join(map(str, key))


def nearest(wrong: object, right: Iterable[str]) -> str:
    """A did-you-mean sentence when one of the right names is close to the wrong one, else nothing."""
    close = difflib.get_close_matches(str(wrong), list(right), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def shown(value: Any) -> str:
    """A value as a message quotes it: YAML's words for true, false and null, and never longer than a line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it was written, under which key, and what to do."""

    where: str
    key: Key
    message: str

    def __str__(self) -> str:
        said = f"{self.where}: {dotted(self.key)}: {self.message}" if self.key else f"{self.where}: {self.message}"
        return printable(said)


class ConfigError(ValueError):
    """A configuration that cannot be run; `problems` lists everything that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(f"  {p}" for p in self.problems))


@dataclass(slots=True)
class Report:
    """Collects problems and knows where each key was written.

    `lines` holds the line of every key of `file`; `overridden` the keys that were set from elsewhere, and where from.
    """

    file: str
    lines: dict[Key, int] = field(default_factory=dict)
    overridden: dict[Key, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, key: Key) -> str:
        """`file:line` of the key or, where it was not written, of the section that it belongs to."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.overridden:
                return self.overridden[key[:length]]
            if key[:length] in self.lines:
                return f"{self.file}:{self.lines[key[:length]]}"
        return self.file

    def add(self, key: Key, *sentences: str) -> None:
        self.problems.append(Problem(self.where(key), key, " ".join(s for s in sentences if s)))

    def refuse(self, key: Key, given: Any, expected: str, *hints: str) -> None:
        """The commonest problem: this was given, that was expected."""
        self.add(key, f"got {shown(given)}, expected {expected}.", *hints)

    def stop_if_any(self) -> None:
        """Raises: ConfigError with every problem so far."""
        if self.problems:
            raise ConfigError(self.problems)


def an(name: str) -> str:
    """A name with its article: "a Stream", "an Agent"."""
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"
