"""Settings from the command line, or from a sweep: `agent.optimizer.lr=1e-2` put over what the file says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lifelong.config.errors import COMMAND_LINE, Key, Problem, Report
from lifelong.config.source import read_text


def apply(data: dict[str, Any], overrides: Sequence[str], report: Report, source: str = COMMAND_LINE) -> None:
    """Put each `a.b.c=value` into `data`, in order; the value is YAML, a number means an item of a list.

    source: where they come from, as messages say it.
    """
    for text in overrides:
        path, equals, value = text.partition("=")
        steps = tuple(path.strip().split("."))
        if not equals or not all(steps):
            message = f"got {text!r}, expected key.path=value, such as agent.optimizer.lr=1e-2 or seed=3."
            report.problems.append(Problem(source, (), message))
            continue
        _place(data, steps, value, report, source)


def _place(data: dict[str, Any], steps: tuple[str, ...], text: str, report: Report, source: str) -> None:
    """Walk to the last step, making sections on the way, and set it there."""
    at: Any = data
    key: Key = ()
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        if isinstance(at, list):
            if not step.isdecimal() or int(step) >= len(at):
                _say(
                    report,
                    source,
                    (*key, step),
                    f"there are items 0 to {len(at) - 1} here; {step!r} is none of them.",
                )
                return
            place: str | int = int(step)
        elif isinstance(at, dict):
            place = step
        else:
            _say(
                report,
                source,
                (*key, step),
                f"{'.'.join(map(str, key))} is a single value, so it has no {step!r} inside.",
            )
            return
        key = (*key, place)
        if last:
            before = len(report.problems)
            report.overridden[key] = source
            value = read_text(text, report, lines={}, at=key)
            if len(report.problems) == before:
                _forget_lines(report, key)
                at[place] = value
            return
        inner = at.get(place) if isinstance(at, dict) else at[place]
        if inner is None:
            inner = at[place] = {}
            report.overridden[key] = source
        elif isinstance(inner, str):
            # A bare name is short for a section that has only a name, so a setting can be put beside it.
            inner = at[place] = {"name": inner}
        at = inner


def _say(report: Report, source: str, key: Key, message: str) -> None:
    report.overridden[key] = source
    report.add(key, message)


def _forget_lines(report: Report, key: Key) -> None:
    for old in [k for k in report.lines if k[: len(key)] == key]:
        del report.lines[old]
