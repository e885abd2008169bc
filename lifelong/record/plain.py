"""Frozen dataclasses to JSON and back, without loss: the one translation that every file of a run uses."""

from __future__ import annotations

import json
import math
import types
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

LARGEST = 2**63 - 1


def encode(value: object) -> Any:
    """A dataclass of plain data as dicts, lists, strings and finite numbers.

    Floats that JSON does not know become the strings "nan", "inf" and "-inf".
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    return value


def parsed(text: str | bytes) -> Any:
    """JSON as plain data. Raises ValueError for what is none, or is nested so deeply that nobody wrote it."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def decode(kind: Any, plain: Any) -> Any:
    """What `encode` made plain, as an instance of `kind` again.

    Raises TypeError, ValueError or KeyError where it cannot be one.
    """
    try:
        return _decoded(kind, plain)
    except (ArithmeticError, AttributeError, RecursionError) as error:
        raise ValueError(f"expected {getattr(kind, '__name__', kind)}, got something else ({error})") from error


def _decoded(kind: Any, plain: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        present = next(part for part in inner if part is not type(None))
        return None if plain is None else _decoded(present, plain)
    if origin is tuple:
        if inner == (float, ...):
            return tuple(map(float, plain))
        if inner[-1] is Ellipsis:
            return tuple(_decoded(inner[0], item) for item in plain)
        return tuple(_decoded(part, item) for part, item in zip(inner, plain, strict=True))
    if origin is dict:
        return {key: _decoded(inner[1], item) for key, item in plain.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return kind(**{name: _decoded(hint, plain[name]) for name, hint in _hints(kind) if name in plain})
    if not isinstance(plain, (float, int, str) if kind is float else kind):
        raise TypeError(f"expected {kind.__name__}, got {plain!r:.80}")
    if kind is int and isinstance(plain, int) and not -LARGEST <= plain <= LARGEST:
        raise ValueError(f"expected a number of at most 63 bits, got {str(plain)[:80]}")
    return float(plain) if kind is float else plain


@cache
def _hints(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(get_type_hints(kind).items())
