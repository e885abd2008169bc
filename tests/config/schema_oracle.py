"""Whether data meets a JSON schema: the part of draft 2020-12 that configurations use, and no more."""

from __future__ import annotations

import re
from typing import Any

KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "properties", "required", "items",
    "additionalProperties", "oneOf", "anyOf", "enum", "const", "pattern", "prefixItems", "minItems", "maxItems",
    "format",
}  # fmt: skip

TYPES: dict[str, Any] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v == int(v),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
}


def meets(data: Any, schema: Any, root: dict[str, Any]) -> bool:
    """True when `data` is valid. Raises AssertionError for a keyword that this oracle does not know."""
    if isinstance(schema, bool):
        return schema
    assert schema.keys() <= KNOWN, f"unknown keywords {schema.keys() - KNOWN}"
    if "$ref" in schema and not meets(data, _target(schema["$ref"], root), root):
        return False
    if "type" in schema and not TYPES[schema["type"]](data):
        return False
    if "const" in schema and data != schema["const"]:
        return False
    if "enum" in schema and data not in schema["enum"]:
        return False
    if "pattern" in schema and isinstance(data, str) and not re.search(schema["pattern"], data):
        return False
    if "oneOf" in schema and sum(meets(data, choice, root) for choice in schema["oneOf"]) != 1:
        return False
    if "anyOf" in schema and not any(meets(data, choice, root) for choice in schema["anyOf"]):
        return False
    if isinstance(data, dict):
        return _object_meets(data, schema, root)
    return _array_meets(data, schema, root) if isinstance(data, list) else True


def _object_meets(data: dict[str, Any], schema: dict[str, Any], root: dict[str, Any]) -> bool:
    properties, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    return set(schema.get("required", ())) <= data.keys() and all(
        meets(value, properties.get(key, other), root) for key, value in data.items()
    )


def _array_meets(data: list[Any], schema: dict[str, Any], root: dict[str, Any]) -> bool:
    first = schema.get("prefixItems", [])
    if not schema.get("minItems", 0) <= len(data) <= schema.get("maxItems", len(data)):
        return False
    schemas = [*first, *[schema.get("items", True)] * (len(data) - len(first))]
    return all(meets(item, each, root) for item, each in zip(data, schemas, strict=False))


def _target(reference: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found
