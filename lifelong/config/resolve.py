"""From plain data to a tree of checked constructor calls, with every default written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifelong.config.describe import RUN_WIDE, describe_default
from lifelong.config.errors import COMMAND_LINE, Key, Report, an, dotted, nearest
from lifelong.config.locate import Factory, NotFound, locate, points
from lifelong.config.parameters import (
    MISSING,
    RESERVED,
    Component,
    Many,
    Named,
    NotConfigurable,
    Parameter,
    Section,
    Structure,
    parameters,
)
from lifelong.config.plain import Unfit, Unwritable, check, spell, write


@dataclass(frozen=True, slots=True)
class Plain:
    """A checked value and how it is written."""

    value: Any
    written: Any


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sections."""

    items: tuple[Node, ...]
    container: type[list[Any]] | type[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Sections:
    """Sections under names of the user's own."""

    sections: dict[str, Node]


@dataclass(frozen=True, slots=True)
class Call:
    """A constructor call to be made: `name` is the component's (None: a section without one).

    `run_wide` are parameters that will be given the run's seed or device; `protocol` is what must come out.
    """

    key: Key
    target: Factory
    name: str | None
    arguments: dict[str, Node]
    run_wide: tuple[str, ...] = ()
    protocol: type | None = None


Node = Plain | Items | Sections | Call


def resolve_call(
    key: Key,
    target: Factory,
    given: dict[str, Any],
    base: dict[str, Any],
    report: Report,
    name: str | None = None,
    protocol: type | None = None,
    run_wide: tuple[str, ...] = RUN_WIDE,
) -> Call | None:
    """Check every setting of one section. What `base` holds stands in for the parameters' own defaults.

    None when something is wrong; what, is in the report.
    """
    try:
        known = {p.name: p for p in parameters(target, RESERVED if name is not None else None)}
    except NotConfigurable as error:
        report.add((*key, RESERVED) if name else key, str(error))
        return None
    before = len(report.problems)
    keep = {RESERVED} if name is not None else set()
    for wrong in [k for k in given if k not in known and k not in keep]:
        report.add((*key, wrong), "unknown key.", nearest(wrong, known), _takes(name, known), _whole(key, report))
    arguments: dict[str, Node] = {}
    inherited = []
    for parameter in known.values():
        default = base.get(parameter.name, MISSING)
        if parameter.name in given:
            default = describe_default(parameter) if default is MISSING else default
            node = _value((*key, parameter.name), parameter, given[parameter.name], default, report)
        elif parameter.name in run_wide and default is MISSING:
            inherited.append(parameter.name)
            continue
        else:
            default = describe_default(parameter) if default is MISSING else default
            if default is MISSING:
                if parameter.required:
                    report.add(key, f"{parameter.name!r} is missing: it must be {_expected(parameter)}.")
                continue
            node = _value((*key, parameter.name), parameter, default, MISSING, report)
        if node is not None:
            arguments[parameter.name] = node
    if len(report.problems) > before:
        return None
    return Call(key, target, name, arguments, tuple(inherited), protocol)


def written(node: Node) -> Any:
    """The plain data of a tree, as it stands in the resolved configuration."""
    match node:
        case Plain(written=data):
            return data
        case Items(items=items):
            return [written(item) for item in items]
        case Sections(sections=sections):
            return {name: written(section) for name, section in sections.items()}
        case Call(name=name, arguments=arguments):
            head = {} if name is None else {RESERVED: name}
            return head | {key: written(value) for key, value in arguments.items()}


def _value(key: Key, parameter: Parameter, given: Any, base: Any, report: Report) -> Node | None:
    if parameter.structure is not None and not _is_plain(parameter, given):
        return _structured(key, parameter.structure, given, base, report)
    try:
        value = check(parameter.plain, given)
        return Plain(value, write(parameter.plain, value))
    except Unfit as error:
        expected = error.expected if error.at else _expected(parameter)
        if not error.at and expected == spell(parameter.plain):
            expected = error.expected
        report.refuse((*key, *error.at), error.given, expected)
    except Unwritable as error:
        report.add(key, str(error))
    return None


def _is_plain(parameter: Parameter, given: Any) -> bool:
    """Whether a value that could be a section is meant as a plain one: `null`, or text where it may."""
    if parameter.plain is MISSING or isinstance(given, dict | list):
        return False
    try:
        check(parameter.plain, given)
    except Unfit:
        return not isinstance(given, str)
    return True


def _structured(key: Key, structure: Structure, given: Any, base: Any, report: Report) -> Node | None:
    match structure:
        case Component():
            return _component(key, structure, given, base, report)
        case Section(target=target):
            if isinstance(given, dict):
                return resolve_call(key, target, given, base if isinstance(base, dict) else {}, report)
        case Many(item=item, container=container):
            if isinstance(given, list):
                nodes = [_structured((*key, i), item, g, MISSING, report) for i, g in enumerate(given)]
                found = tuple(node for node in nodes if node is not None)
                return Items(found, container) if len(found) == len(nodes) else None
        case Named(item=item):
            if isinstance(given, dict):
                named = {name: _structured((*key, name), item, g, MISSING, report) for name, g in given.items()}
                sections = {name: node for name, node in named.items() if node is not None}
                return Sections(sections) if len(sections) == len(named) else None
    report.refuse(key, given, _spell_structure(structure))
    return None


def _component(key: Key, kind: Component, given: Any, base: Any, report: Report) -> Call | None:
    if isinstance(given, str):
        given = {RESERVED: given}
    if not isinstance(given, dict):
        report.refuse(key, given, _spell_structure(kind))
        return None
    settings: dict[str, Any] = {}
    name = given.get(RESERVED)
    if RESERVED not in given and isinstance(base, dict):
        # A section without a name changes the default component instead of replacing it.
        name, settings = base[RESERVED], base
    elif RESERVED not in given:
        there = f"There are: {', '.join(points(kind.group))}." if kind.group else ""
        report.add(key, f"'name' is missing: it must say which {kind.protocol.__name__} to use.", there)
        return None
    if not isinstance(name, str):
        report.refuse((*key, RESERVED), name, f"the name of {an(kind.protocol.__name__)}, or module:Class")
        return None
    try:
        target = locate(name, kind.group)
    except NotFound as error:
        report.add((*key, RESERVED), str(error))
        return None
    return resolve_call(key, target, given, settings, report, name=name, protocol=kind.protocol)


def _expected(parameter: Parameter) -> str:
    said = [] if parameter.structure is None else [_spell_structure(parameter.structure)]
    return " or ".join(said + ([] if parameter.plain is MISSING else [spell(parameter.plain)]))


def _spell_structure(structure: Structure) -> str:
    match structure:
        case Component(protocol=protocol):
            return f"a section with the name of {an(protocol.__name__)} and its settings"
        case Section(target=target):
            return f"a section with settings of {target.__name__}"
        case Many(item=item):
            return "a list, each item of it " + _spell_structure(item)
        case Named(item=item):
            return "a mapping from names of your own, each to " + _spell_structure(item)


def _takes(name: str | None, known: dict[str, Parameter]) -> str:
    return f"{name or 'This section'} takes: {', '.join(known) or 'no settings'}."


def _whole(key: Key, report: Report) -> str:
    """The way out for someone who overrode a component's name and finds the old one's settings in the way."""
    if key and report.where((*key, RESERVED)) == COMMAND_LINE and report.where(key) != COMMAND_LINE:
        return f"To replace the whole section instead of its name alone: {dotted(key)}=NAME."
    return ""
