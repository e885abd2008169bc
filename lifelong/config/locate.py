"""Components by name: through entry points, which any installed package may declare, or as `module:Class`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from lifelong.config.errors import nearest
from lifelong.places import import_named

GROUPS = {
    "DataSource": "lifelong.data",
    "Stream": "lifelong.streams",
    "Source": "lifelong.sources",
    "Agent": "lifelong.agents",
    "Learner": "lifelong.agents",
    "ActingLearner": "lifelong.agents",
    "Detector": "lifelong.detectors",
    "Signal": "lifelong.signals",
    "Measure": "lifelong.measures",
    "Router": "lifelong.routers",
    "Network": "lifelong.networks",
    "Method": "lifelong.subspaces",
    "Retention": "lifelong.retention",
}
"""Which entry points answer to a parameter that is annotated with a Protocol of this name."""

Factory = Callable[..., Any]

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class NotFound(ValueError):
    """No component of that name: the message says what there is."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What `lifelong list` shows of a component; `error` says why a broken plug-in cannot be loaded."""

    name: str
    summary: str
    package: str
    error: str = ""


def points(group: str, package: str | None = None) -> dict[str, EntryPoint]:
    """Entry points of a group by name, sorted; with `package`, only those of that installed distribution.

    Raises: NotFound when two packages claim one name for different things.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(_declared(group), key=lambda p: (p.name, p.value)):
        if package is not None and package_of(point) != package:
            continue
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise NotFound(
                f"two packages claim {point.name!r} in {group}: {package_of(other)} ({other.value}) and "
                f"{package_of(point)} ({point.value}). Uninstall one, or have its author rename it."
            )
    return found


def package_of(point: EntryPoint) -> str:
    """The distribution that declares an entry point."""
    return point.dist.name if point.dist else "unknown"


def locate(name: str, group: str | None) -> Factory:
    """The class or function behind a name of `group`, or behind `module:Class`, which needs no group.

    Raises: NotFound with the nearest right name and a list of all of them, or with what broke on import.
    """
    if ":" in name:
        if not _REFERENCE.fullmatch(name):
            raise NotFound(f"got {name!r}, expected module:Class, such as my_package.streams:Mine.")
        return _load(name, f"{name!r}", import_named)
    if group is None:
        raise NotFound(f"got {name!r}, expected module:Class (a module that Python can import, and a name in it).")
    known = points(group)
    if name not in known:
        there = f"There are: {', '.join(known)}." if known else "None is installed."
        said = (
            f"got {name!r}, which is not among {group}.",
            nearest(name, known),
            there,
            "Your own: module:Class.",
        )
        raise NotFound(" ".join(s for s in said if s))
    point = known[name]
    try:
        return _load(point.value, f"{name!r}", import_module)
    except NotFound as error:
        # Whose fault it is is read from a file: only where somebody wants to know.
        ours = f"{name!r} ({point.value} of {package_of(point)})"
        raise NotFound(str(error).replace(f"{name!r}", ours, 1)) from error.__cause__


def name_of(target: Factory, group: str | None) -> str | None:
    """The name under which `locate` finds a class: its entry point's where it has one, else `module:Class`.

    None for a class that lives inside a function, which no name can reach.
    """
    own = f"{target.__module__}:{target.__qualname__}"
    if "<" in own:
        return None
    named = [] if group is None else _declared(group)
    return next((point.name for point in named if point.value.replace(" ", "") == own), own)


def listing(group: str, package: str | None = None) -> list[Listed]:
    """Every component of a group; one that cannot be loaded is listed with its error."""
    found = []
    for name, point in points(group, package).items():
        try:
            found.append(Listed(name, summary_of(locate(name, group)), package_of(point)))
        except NotFound as error:
            found.append(Listed(name, "", package_of(point), str(error)))
    return found


def summary_of(target: Factory) -> str:
    """The first line of the docstring; a dataclass that has none gets no made-up one."""
    doc = (target.__doc__ or "").strip()
    made_up = isinstance(target, type) and doc.startswith(f"{target.__name__}(")
    return "" if made_up or not doc else doc.splitlines()[0]


def _declared(group: str) -> list[EntryPoint]:
    """What installed packages declare for a group; they are looked through again only where one came or went."""
    return _scanned(tuple((place, _changed(place)) for place in sys.path)).get(group, [])


@lru_cache(maxsize=1)
def _scanned(places: tuple[tuple[str, int], ...]) -> dict[str, list[EntryPoint]]:
    declared = entry_points()
    return {group: list(declared.select(group=group)) for group in declared.groups}


def _changed(place: str) -> int:
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:
        return 0


def _load(value: str, what: str, imported: Callable[[str], ModuleType]) -> Factory:
    path, _, names = value.replace(" ", "").partition(":")
    try:
        module = imported(path)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and path.startswith(str(error.name))
        hint = " It was looked for beside the configuration, in the current folder and in what is installed."
        raise NotFound(f"{what} cannot be imported: {type(error).__name__}: {error}." + hint * missing) from error
    found: Any = module
    for name in names.split("."):
        if not hasattr(found, name):
            close = nearest(name, [n for n in vars(found) if not n.startswith("_")])
            raise NotFound(f"{what} is not there: {path} has no {name!r}. {close}".rstrip())
        found = getattr(found, name)
    if not callable(found):
        raise NotFound(f"{what} is {found!r}, expected a class or a function that makes the component.")
    return found  # type: ignore[no-any-return]
