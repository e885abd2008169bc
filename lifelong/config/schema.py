"""The JSON schema (draft 2020-12) of a configuration, for editors: what can be written where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lifelong.config.describe import RUN_WIDE, describe_default
from lifelong.config.locate import GROUPS, Factory, locate, points, summary_of
from lifelong.config.parameters import (
    MISSING,
    RESERVED,
    Component,
    Many,
    Named,
    Parameter,
    Section,
    Structure,
    parameters,
)
from lifelong.config.plain import json_schema
from lifelong.config.settings import Layout

BUILT_IN = "lifelong"
"""The distribution whose components the published schema names."""

REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"

Schema = dict[str, Any]


def config_schema(package: str | None = BUILT_IN) -> Schema:
    """The schema of a whole configuration, naming the components of one package (None: all installed ones).

    Raises: NotFound or NotConfigurable when a component cannot be loaded or has no readable signature.
    """
    writer = _Writer(package)
    body = writer.section(Layout, None, {})
    for group in GROUPS.values():
        # Also those that no agent of this package takes: another's may.
        writer.group(group)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lifelong configuration",
        "description": "One study: a stream of tasks and the agent that lives through it.",
        **body,
        "$defs": {key: writer.definitions[key] for key in sorted(writer.definitions)},
    }


@dataclass(slots=True)
class _Writer:
    package: str | None
    definitions: dict[str, Schema] = field(default_factory=dict)

    def section(self, target: Factory, name: str | None, base: dict[str, Any], reserved: str | None = None) -> Schema:
        """A mapping with the settings of one class or function; what `base` holds need not be given."""
        head: Schema = {} if name is None else {RESERVED: {"const": name, "description": summary_of(target)}}
        known = parameters(target, reserved)
        required = [] if name is None else [RESERVED]
        required += [p.name for p in known if p.required and p.name not in base and p.name not in RUN_WIDE]
        properties = head | {p.name: self._parameter(p, base.get(p.name, MISSING)) for p in known}
        body: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if summary_of(target):
            body["description"] = summary_of(target)
        return body | ({"required": required} if required else {})

    def _parameter(self, parameter: Parameter, base: Any) -> Schema:
        default = describe_default(parameter) if base is MISSING else base
        choices: list[Schema] = []
        if parameter.structure is not None:
            choices += self._structure(parameter.structure, default)
        if parameter.plain is not MISSING:
            plain = json_schema(parameter.plain, "#/$defs/{model}")
            self.definitions |= plain.pop("$defs", {})
            choices += plain.pop("anyOf", None) or [plain]
        body: Schema = choices[0] if len(choices) == 1 else {"anyOf": choices}
        return body if default is MISSING else {**body, "default": default}

    def _structure(self, structure: Structure, default: Any) -> list[Schema]:
        match structure:
            case Many(item=item):
                items = self._structure(item, MISSING)
                return [{"type": "array", "items": items[0] if len(items) == 1 else {"anyOf": items}}]
            case Named(item=item):
                items = self._structure(item, MISSING)
                return [{"type": "object", "additionalProperties": items[0] if len(items) == 1 else {"anyOf": items}}]
            case Section(target=target):
                return [self.section(target, None, default if isinstance(default, dict) else {})]
            case Component(group=group):
                named = self.group(group) if group else _open()
                return [named, *self._unnamed(structure, default)]

    def _unnamed(self, kind: Component, default: Any) -> list[Schema]:
        """A section without a name changes the default component."""
        if not isinstance(default, dict):
            return []
        target = locate(default[RESERVED], kind.group)
        return [self.section(target, None, default, RESERVED)]

    def group(self, group: str) -> Schema:
        """A reference to the definition of all components of a group, written on first use."""
        if group not in self.definitions:
            self.definitions[group] = {}
            names = list(points(group, self.package))
            for name in names:
                self.definitions[f"{group}.{name}"] = {}
                self.definitions[f"{group}.{name}"] = self.section(locate(name, group), name, {}, RESERVED)
            self.definitions[group] = {
                "description": f"One of the {group.partition('.')[2]}, or your own as module:Class.",
                "oneOf": [
                    *({"$ref": f"#/$defs/{group}.{name}"} for name in names),
                    {"description": "A name alone, with default settings.", "enum": names},
                    _open(),
                ],
            }
        return {"$ref": f"#/$defs/{group}"}


def _open() -> Schema:
    """A component that has no name among these: module:Class, alone or in a section with its settings."""
    name: Schema = {"type": "string", "pattern": REFERENCE}
    return {
        "description": "Your own component, as module:Class.",
        "anyOf": [name, {"type": "object", "properties": {RESERVED: name}, "required": [RESERVED]}],
    }
