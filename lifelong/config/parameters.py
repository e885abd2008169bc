"""What a component can be told: the parameters of its constructor, read from the annotated signature."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import types
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from lifelong.config.locate import GROUPS, Factory

RESERVED = "name"
"""The key of a section that says which component it is; a parameter of that name cannot be set."""

MISSING = inspect.Parameter.empty


class NotConfigurable(ValueError):
    """A callable whose signature does not say what it takes."""


@dataclass(frozen=True, slots=True)
class Component:
    """A parameter that is a Protocol: any component of the group, or `module:Class` where there is none."""

    protocol: type
    group: str | None


@dataclass(frozen=True, slots=True)
class Section:
    """A parameter that is one certain dataclass: a nested mapping without a name."""

    target: Factory


@dataclass(frozen=True, slots=True)
class Many:
    """A list of components or sections."""

    item: Component | Section
    container: type[list[Any]] | type[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping from names of the user's own to components."""

    item: Component


Structure = Component | Section | Many | Named


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: what may stand there as a section (`structure`), what as a plain value, and the default.

    `plain` is the annotation of the plain values, MISSING when only a section will do.
    """

    name: str
    structure: Structure | None
    plain: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is MISSING


def parameters(target: Factory, reserved: str | None = RESERVED) -> tuple[Parameter, ...]:
    """The parameters of a class or function, in order, without `reserved`.

    Raises: NotConfigurable when the signature is not fully annotated or cannot be met by naming arguments.
    """
    try:
        signature, hints = inspect.signature(target), _hints(target)
    except (ValueError, TypeError, NameError, AttributeError) as error:
        raise NotConfigurable(f"the signature of {_title(target)} cannot be read: {error}.") from error
    factories = _default_factories(target)
    found = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise NotConfigurable(f"{_title(target)} takes {parameter.name!r} by position only; it must go by name.")
        if parameter.name not in hints:
            raise NotConfigurable(f"the parameter {parameter.name!r} of {_title(target)} has no annotation; add one.")
        default = factories[parameter.name]() if parameter.name in factories else parameter.default
        if parameter.name == reserved:
            if default is MISSING:
                raise NotConfigurable(
                    f"{_title(target)} needs a parameter called {reserved!r}, which in a section says which "
                    f"component it is. Rename the parameter or give it a default."
                )
            continue
        structure, plain = _split(hints[parameter.name])
        found.append(Parameter(parameter.name, structure, plain, default))
    return tuple(found)


def structure_of(annotation: Any) -> Structure | None:
    """The kind of section that an annotation asks for, None when it asks for a plain value."""
    origin, args = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated:
        return structure_of(args[0])
    if origin in (list, tuple, collections.abc.Sequence):
        inner = structure_of(args[0]) if args and (origin is not tuple or args[1:] == (Ellipsis,)) else None
        if isinstance(inner, Component | Section):
            return Many(inner, list if origin is list else tuple)
        return None
    if origin in (dict, collections.abc.Mapping):
        inner = structure_of(args[1]) if len(args) == 2 and args[0] is str else None
        return Named(inner) if isinstance(inner, Component) else None
    if not isinstance(origin, type):
        return None
    if getattr(origin, "_is_protocol", False):
        return Component(origin, GROUPS.get(origin.__name__))
    return Section(origin) if dataclasses.is_dataclass(origin) else None


def _split(annotation: Any) -> tuple[Structure | None, Any]:
    """The one member of a union that is a section, and the annotation of all the others."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    members = get_args(annotation) if is_union else (annotation,)
    structured = [m for m in members if structure_of(m) is not None]
    if len(structured) != 1:
        return None, annotation
    rest = tuple(m for m in members if m is not structured[0])
    return structure_of(structured[0]), Union[rest] if rest else MISSING  # noqa: UP007


def _hints(target: Factory) -> dict[str, Any]:
    if dataclasses.is_dataclass(target):
        return get_type_hints(target, include_extras=True)
    if inspect.isclass(target):
        return get_type_hints(target.__init__, include_extras=True)
    return get_type_hints(target if inspect.isroutine(target) else type(target).__call__, include_extras=True)


def _default_factories(target: Factory) -> dict[str, Any]:
    if not dataclasses.is_dataclass(target):
        return {}
    fields = dataclasses.fields(target)
    return {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}


def _title(target: Factory) -> str:
    return getattr(target, "__qualname__", repr(target))
