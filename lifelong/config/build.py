"""From checked constructor calls to the objects themselves."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from lifelong.config.device import real_device
from lifelong.config.errors import Report, an
from lifelong.config.resolve import Call, Items, Node, Plain, Sections


@dataclass(frozen=True, slots=True)
class RunWide:
    """What the parameters `seed` and `device` of a component are given where its section leaves them out."""

    seed: int
    device: str


class _Failed(Exception):
    """Something below did not come to be; the report says what."""


def build(node: Node, run: RunWide, report: Report) -> Any:
    """Make the object of a tree, innermost first; None when the report has news of why it could not be made.

    A ValueError of a constructor, a file that is not there and an optional package that is missing become
    problems of the section that asked for them. Anything else is a component's defect and passes through.
    """
    try:
        return _make(node, run, report)
    except _Failed:
        return None


def _make(node: Node, run: RunWide, report: Report) -> Any:
    match node:
        case Plain(value=value):
            return value
        case Items(items=items, container=container):
            return container(_all({str(i): item for i, item in enumerate(items)}, run, report).values())
        case Sections(sections=sections):
            return _all(sections, run, report)
        case Call():
            return _call(node, run, report)


def _call(call: Call, run: RunWide, report: Report) -> Any:
    arguments = _all(call.arguments, run, report)
    if call.name is not None and isinstance(arguments.get("device"), str):
        try:
            arguments["device"] = real_device(arguments["device"])
        except ValueError as error:
            report.add((*call.key, "device"), str(error))
            raise _Failed from error
    arguments |= {name: getattr(run, name) for name in call.run_wide}
    try:
        made = call.target(**arguments)
    except (ValueError, OSError, ImportError) as error:
        report.add(call.key, f"{call.name or call.target.__name__}: {error}")
        raise _Failed from error
    lacking = _lacking(made, call.protocol) if call.protocol else []
    if call.protocol and lacking:
        report.add(
            (*call.key, "name"),
            f"{call.name} made {an(type(made).__name__)}, expected {an(call.protocol.__name__)}: "
            f"it has no {', '.join(lacking)}.",
        )
        raise _Failed
    return made


def _all(nodes: dict[str, Node], run: RunWide, report: Report) -> dict[str, Any]:
    """Every one is tried, so that all that fail are reported together."""
    made = {}
    failed = False
    for name, node in nodes.items():
        try:
            made[name] = _make(node, run, report)
        except _Failed:
            failed = True
    if failed:
        raise _Failed
    return made


def _lacking(made: object, protocol: type) -> list[str]:
    """Members of the protocol that an object does not have; properties are looked up without running them."""
    wanted = [n for n in (*vars(protocol), *inspect.get_annotations(protocol)) if not n.startswith("_")]
    nowhere = object()
    return [name for name in wanted if inspect.getattr_static(made, name, nowhere) is nowhere]
