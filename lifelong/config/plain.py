"""Values that are not sections: numbers, text, lists of them. Checked, spelled out and written back."""

from __future__ import annotations

import collections.abc
import math
import types
import typing
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, PydanticSerializationError

from lifelong.config.errors import Key

LARGEST = 2**63 - 1

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    Any: "anything",
}


class Unfit(ValueError):
    """A value that its annotation does not allow: `at` is a place inside the value, `given` what is there."""

    def __init__(self, at: Key, given: Any, expected: str) -> None:
        super().__init__(expected)
        self.at, self.given, self.expected = at, given, expected


class Unwritable(ValueError):
    """A value for which YAML has no words, such as a function."""


def check(annotation: Any, value: Any) -> Any:
    """The value as its annotation wants it, e.g. a tuple for a list.

    Raises: Unfit.
    """
    try:
        return _adapter(annotation).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = _place_in(value, first["loc"])
        expected = spell(annotation) if not at else f"{spell(annotation)} throughout"
        if first["type"] not in _SPELLED_OUT and get_origin(annotation) not in (Union, types.UnionType):
            expected += f" ({first['msg']})"
        raise Unfit(at, _inside(value, at), expected) from None


def write(annotation: Any, value: Any) -> Any:
    """The value as plain data that `check` turns into the same value again.

    Raises: Unwritable.
    """
    try:
        data = _adapter(annotation).dump_python(value, mode="json", warnings="error")
        if check(annotation, data) == value:
            return data
    except (PydanticSerializationError, PydanticUserError, Unfit, TypeError, ValueError):
        pass
    raise Unwritable(f"{value!r} cannot be written as {spell(annotation)}.")


def json_schema(annotation: Any, ref_template: str) -> dict[str, Any]:
    """The JSON schema of an annotation; an empty one (anything goes) where JSON cannot say it."""
    try:
        return _adapter(annotation).json_schema(ref_template=ref_template)
    except Exception:
        return {}


def spell(annotation: Any) -> str:
    """An annotation in words: `tuple[int, ...] | None` is "a list of whole numbers or null"."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return spell(args[0])
    if origin is Literal:
        return ("one of " if len(args) > 1 else "") + ", ".join(str(a) for a in args)
    if origin in (Union, types.UnionType):
        return " or ".join(spell(a) for a in args)
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        return f"a list of {len(args)} ({', '.join(spell(a) for a in args)})"
    if origin in (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable):
        return "a list of " + spell(args[0]).replace("a whole number", "whole numbers").replace("a number", "numbers")
    if origin in (dict, collections.abc.Mapping):
        return f"a mapping from {spell(args[0])} to {spell(args[1])}"
    return f"a {getattr(annotation, '__name__', str(annotation))}"


_SPELLED_OUT = {
    "int_type", "int_parsing", "int_from_float", "float_type", "float_parsing", "bool_type", "bool_parsing",
    "string_type", "none_required", "list_type", "tuple_type", "dict_type", "literal_error", "value_error",
    "is_instance_of",
}  # fmt: skip
"""Kinds of pydantic's complaints that say no more than the annotation spelled out."""


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    """What checks values of this annotation: making it takes a hundred times as long as using it."""
    try:
        # Unions that differ in their order alone are equal, and mean different things to pydantic.
        return _kept(annotation, repr(annotation))
    except TypeError:
        # Annotated with something that cannot be hashed.
        return _made(annotation)


@lru_cache(maxsize=1024)
def _kept(annotation: Any, spelled: str) -> TypeAdapter[Any]:
    return _made(annotation)


def _made(annotation: Any) -> TypeAdapter[Any]:
    strict = _without_bools(annotation)
    try:
        return TypeAdapter(strict, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))
    except PydanticUserError:
        # A type that brings its own configuration, such as a pydantic model, takes none from us.
        return TypeAdapter(strict)


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")
    return value


def _real(value: Any) -> Any:
    """A number that has a place among the others."""
    if isinstance(value, float) and math.isnan(value):
        raise PydanticCustomError("nan", "which .nan is not")
    return _no_bool(value)


def _countable(value: Any) -> Any:
    """A whole number that fits into what torch, numpy and files count with."""
    if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:
        raise PydanticCustomError("too_large", "of at most 63 bits")
    return _no_bool(value)


def _without_bools(annotation: Any) -> Any:
    """The same annotation, except that no `true` passes for 1: pydantic would let it."""
    if annotation is int or annotation is float:
        return Annotated[annotation, BeforeValidator(_countable if annotation is int else _real)]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal or origin is collections.abc.Callable:
        return annotation
    if origin is Annotated:
        inner: Any = _without_bools(args[0])
        for extra in args[1:]:
            inner = Annotated[inner, extra]
        return inner
    parts = tuple(_without_bools(a) for a in args)
    if origin in (Union, types.UnionType):
        return typing.Union[parts]  # noqa: UP007
    return origin[parts] if parts else annotation


def _place_in(value: Any, loc: tuple[int | str, ...]) -> Key:
    """As much of pydantic's location as really exists in the value: it also names branches of unions."""
    at: Key = ()
    for step in loc:
        try:
            value = value[step]
        except (TypeError, LookupError):
            break
        at = (*at, step)
    return at


def _inside(value: Any, at: Key) -> Any:
    for step in at:
        value = value[step]
    return value
