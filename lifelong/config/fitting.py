"""Networks held against the tasks of a stream: one that cannot take their inputs is told before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from lifelong.config.build import RunWide, build
from lifelong.config.errors import Report
from lifelong.config.locate import GROUPS, points
from lifelong.config.resolve import Call, Items, Node, Sections
from lifelong.stream import Stream, Task

OURS = "lifelong"
"""The package whose agents give a task's inputs to their networks as they are; of other agents that is unknown."""


def check_networks(agent: Node, stream: Stream, run: RunWide, report: Report) -> None:
    """Report every network of an agent that cannot take the inputs of a task. None is made: only its shapes are."""
    if not isinstance(agent, Call) or agent.name not in points(GROUPS["Agent"], OURS):
        return
    shapes: dict[tuple[int, ...], str] = {}
    for task in stream.tasks:
        if isinstance(task, Task):
            shapes.setdefault(task.contract.input_shape, task.name)
    for call in _networks(agent):
        network = build(call, run, Report(report.file))
        faults = ((name, _fault(network, shape)) for shape, name in shapes.items())
        first = next(((name, fault) for name, fault in faults if fault is not None), None)
        if first is not None:
            report.add(call.key, f"task {first[0]!r} has other inputs than {call.name} takes: {first[1]}")


def _networks(node: Node) -> Iterator[Call]:
    match node:
        case Call(protocol=protocol, arguments=arguments):
            if protocol is not None and protocol.__name__ == "Network":
                yield node
            for inner in arguments.values():
                yield from _networks(inner)
        case Items(items=items):
            for inner in items:
                yield from _networks(inner)
        case Sections(sections=sections):
            for inner in sections.values():
                yield from _networks(inner)
        case _:
            pass


def _fault(network: Any, shape: tuple[int, ...]) -> str | None:
    try:
        with torch.device("meta"):
            network.encoder(shape)
    except ValueError as error:
        return str(error)
    except Exception:
        # Whatever else it has to say, it says where it is made in earnest.
        return None
    return None
