"""A configuration file, read and checked in full before anything is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from lifelong.config.build import RunWide, build
from lifelong.config.device import real_device
from lifelong.config.errors import SWEEP, Key, Report
from lifelong.config.fitting import check_networks
from lifelong.config.overrides import apply
from lifelong.config.resolve import Call, Items, Node, Plain, Sections, resolve_call, written
from lifelong.config.settings import AgentPlan, Layout, Study
from lifelong.config.shared import with_shared
from lifelong.config.source import read_file
from lifelong.config.yaml12 import dump
from lifelong.learner import ActingLearner, Agent, Learner
from lifelong.places import look_in
from lifelong.saying import printable
from lifelong.stream import Stream

MOST_THREADS = 1024
"""More than that no machine has cores, and where they cannot be begun the process is ended from within."""

_LOOKED_UP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.-]*")
"""module:Class, and gymnasium's module:Name-v0, in a value that a component looks up by itself."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A checked configuration with every default written out. Nothing is made yet: `build` does that."""

    path: Path
    device: str
    _tree: Call
    _report: Report

    @property
    def seed(self) -> int:
        return cast(int, _value(self._tree, "seed"))

    @property
    def agent_name(self) -> str:
        return _short_name(self._tree.arguments["agent"])

    @property
    def reference_name(self) -> str | None:
        node = self._tree.arguments["reference"]
        return _short_name(node) if isinstance(node, Call) else None

    def as_dict(self) -> dict[str, Any]:
        """The whole configuration as plain data, as `to_yaml` writes it."""
        return cast(dict[str, Any], written(self._tree))

    def to_yaml(self) -> str:
        """Text that loads again, from any folder, as this same configuration."""
        return dump(self.as_dict())

    def changed(self, changes: dict[str, Any], label: str | None = None) -> Resolved:
        """This configuration with other sections and values at its top level, checked as a whole again.

        label: the new `agent` is the one of this label in `agents`, where its mistakes are told. Raises: ConfigError.
        """
        lines, overridden = dict(self._report.lines), dict(self._report.overridden)
        if label is not None:
            # What is said of the agent is said where it was written.
            lines = {_moved(key, label): line for key, line in lines.items() if key[:1] != ("agent",)}
            overridden = {_moved(key, label): by for key, by in overridden.items() if key[:1] != ("agent",)}
        data = self.as_dict() | changes
        return _resolved(self.path, data, _folders(data, self.path), Report(str(self.path), lines, overridden))

    def build(self, stream: Stream | None = None) -> Study:
        """Make the stream and one of each agent; later agents come from the plans.

        stream: one that was made of this same section before. Raises: ConfigError with every constructor's complaint,
        each at the line of its section.
        """
        # Complaints of this build alone: the same configuration can be built twice.
        report = Report(self._report.file, self._report.lines, self._report.overridden)
        run = RunWide(self.seed, self.device)
        nodes = self._tree.arguments
        made: dict[str, Any] = {"stream": build(nodes["stream"], run, report) if stream is None else stream}
        made |= {name: build(nodes[name], run, report) for name in ("evaluation", "record")}
        for name in ("agent", "reference"):
            # An agent's own checks must speak up now, not when the reference has run for an hour.
            agent = build(nodes[name], run, report)
            if isinstance(agent, Agent) and not isinstance(agent, Learner | ActingLearner):
                report.add(
                    (name, "name"),
                    f"{type(agent).__name__} can neither learn from batches (learn, predict) nor act in worlds "
                    "(live, actor).",
                )
        report.stop_if_any()
        for name in ("agent", "reference"):
            check_networks(nodes[name], made["stream"], run, report)
            # What the reference has from the agent is told of once.
            report.stop_if_any()
        return Study(
            stream=made["stream"],
            agent=self._plan("agent", run),
            reference=self._plan("reference", run) if self.reference_name is not None else None,
            schedule=made["evaluation"],
            record=made["record"],
            seed=self.seed,
            device=self.device,
            threads=cast("int | None", _value(self._tree, "threads")),
        )

    def _plan(self, which: str, run: RunWide) -> AgentPlan:
        node = self._tree.arguments[which]
        make = cast(Callable[[], Agent], partial(_build_again, node, run, self._report.file))
        return AgentPlan(_short_name(node), make)


def load_config(path: Path | str, overrides: Sequence[str] = (), swept: Sequence[str] = ()) -> Resolved:
    """Read a configuration, put the overrides (`a.b.c=value`) over it and check every setting.

    `swept` are overrides too, put over these by a sweep. Components that are named as module:Class are looked for in
    the file's folder, or those that its `modules_from` lists, and in the current folder before all others (see
    `lifelong.places`). Raises: ConfigError with all problems at once.
    """
    path = Path(path)
    report = Report(str(path))
    data = read_file(path, report)
    apply(data, overrides, report)
    apply(data, swept, report, SWEEP)
    folders = _folders(data, path)
    look_in([*folders, Path.cwd()])
    return _resolved(path, data, folders, report)


def load_settings(settings: dict[str, Any], path: Path | str) -> Resolved:
    """Check settings that are read already, as if they stood in the file `path`. Raises: ConfigError."""
    path = Path(path)
    folders = _folders(settings, path)
    look_in([*folders, Path.cwd()])
    return _resolved(path, settings, folders, Report(str(path)))


def _resolved(path: Path, data: dict[str, Any], folders: Sequence[Path], report: Report) -> Resolved:
    tree = resolve_call((), Layout, data, {}, report, run_wide=())
    device = _check_device(tree, data, report)
    report.stop_if_any()
    assert tree is not None
    beside = data.get("agents") if isinstance(data.get("agents"), dict) else None
    if beside or data.get("reference") is not None:
        # All names were found just now, so that nothing can fail here.
        agent = cast(dict[str, Any], written(tree.arguments["agent"]))
        filled = {"agents": {label: with_shared(section, agent) for label, section in (beside or {}).items()}}
        if data.get("reference") is not None:
            filled["reference"] = with_shared(data["reference"], agent)
        tree = resolve_call((), Layout, {**data, **filled}, {}, report, run_wide=())
        report.stop_if_any()
        assert tree is not None
    if data.get("modules_from") is not None or _names_a_module(tree):
        # The record of a run lies elsewhere, and must find the same modules.
        here = tuple(str(folder) for folder in folders)
        for folder in here:
            if not folder.isascii() and printable(folder) != folder:
                report.add(("modules_from",), f"{folder!r} cannot be written down: give that folder another name.")
        tree.arguments["modules_from"] = Plain(here, list(here))
    _check_numbers(tree, report)
    report.stop_if_any()
    return Resolved(path, device, tree, report)


def _moved(key: Key, label: str) -> Key:
    """The place in `agent` of what stands in `agents` under a label; other places stay."""
    return ("agent", *key[2:]) if key[:2] == ("agents", label) else key


def _folders(data: dict[str, Any], path: Path) -> list[Path]:
    given = data.get("modules_from")
    if isinstance(given, list) and all(isinstance(folder, str) for folder in given):
        return [(path.parent / folder).resolve() for folder in given]
    return [path.parent.resolve()]


def _check_device(tree: Call | None, data: dict[str, Any], report: Report) -> str:
    asked = _value(tree, "device") if tree else data.get("device", "auto")
    try:
        return real_device(asked) if isinstance(asked, str) else "cpu"
    except ValueError as error:
        report.add(("device",), str(error))
        return "cpu"


def _check_numbers(tree: Call, report: Report) -> None:
    if not 0 <= _value(tree, "seed") < 2**63:
        report.refuse(("seed",), _value(tree, "seed"), "a whole number from 0 on")
    threads = _value(tree, "threads")
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        wanted = "at least 1" if threads < 1 else f"{MOST_THREADS:,} at most"
        report.refuse(("threads",), threads, f"{wanted}, or null to leave it to torch")


def _names_a_module(node: Node) -> bool:
    match node:
        case Call(name=name, arguments=arguments):
            return ":" in (name or "") or any(map(_names_a_module, arguments.values()))
        case Items(items=items):
            return any(map(_names_a_module, items))
        case Sections(sections=sections):
            return any(map(_names_a_module, sections.values()))
        case Plain(value=value):
            return _mentions_a_module(value)


def _mentions_a_module(value: Any) -> bool:
    """Whether plain data holds the name of something in a module."""
    if isinstance(value, dict):
        return any(map(_mentions_a_module, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_mentions_a_module, value))
    return isinstance(value, str) and _LOOKED_UP.fullmatch(value) is not None


def _value(tree: Call, name: str) -> Any:
    node = tree.arguments[name]
    assert isinstance(node, Plain)
    return node.value


def _short_name(node: Node) -> str:
    """`flagship` stays, `my_package.agents:Mine` is `Mine`."""
    assert isinstance(node, Call)
    assert node.name is not None
    return node.name.rpartition(":")[2]


def _build_again(node: Node, run: RunWide, file: str) -> Any:
    report = Report(file)
    made = build(node, run, report)
    report.stop_if_any()
    return made
