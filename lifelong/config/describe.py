"""Objects as the sections that would make them, so that defaults stand in the resolved configuration too."""

from __future__ import annotations

from typing import Any

from lifelong.config.locate import name_of
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
from lifelong.config.plain import Unfit, Unwritable, check, write

RUN_WIDE = ("seed", "device")
"""Parameters that take the run's value where a section leaves them out; a default does not fix them."""


def describe_default(parameter: Parameter) -> Any:
    """The default of a parameter as plain data, MISSING where it has none or none that can be written."""
    if parameter.required:
        return MISSING
    return _describe(parameter.structure, parameter.plain, parameter.default)


def _describe(structure: Structure | None, plain: Any, value: Any) -> Any:
    if structure is not None:
        described = _describe_section(structure, value)
        if described is not MISSING:
            return described
    if plain is MISSING:
        return MISSING
    try:
        return write(plain, check(plain, value))
    except (Unfit, Unwritable):
        return MISSING


def _describe_section(structure: Structure, value: Any) -> Any:
    match structure:
        case Many(item=item):
            if not isinstance(value, list | tuple):
                return MISSING
            items = [_describe_section(item, v) for v in value]
            return MISSING if MISSING in items else items
        case Named(item=item):
            if not isinstance(value, dict):
                return MISSING
            sections = {name: _describe_section(item, v) for name, v in value.items()}
            return MISSING if MISSING in sections.values() else sections
        case Section(target=target):
            return _fields(value, None) if type(value) is target else MISSING
        case Component(group=group):
            fields = _fields(value, RESERVED)
            if fields is MISSING:
                return MISSING
            name = name_of(type(value), group)
            return MISSING if name is None else {RESERVED: name, **fields}


def _fields(value: Any, reserved: str | None) -> Any:
    """What the constructor was given, as far as the object keeps it in attributes of the same names."""
    try:
        wanted = parameters(type(value), reserved)
    except NotConfigurable:
        return MISSING
    found = {}
    for parameter in wanted:
        if parameter.name in RUN_WIDE:
            continue
        if not hasattr(value, parameter.name):
            return MISSING
        described = _describe(parameter.structure, parameter.plain, getattr(value, parameter.name))
        if described is not MISSING:
            found[parameter.name] = described
        elif getattr(value, parameter.name) is not parameter.default:
            return MISSING
    return found
