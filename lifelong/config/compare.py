"""Whether a folder holds a run of this very configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifelong.config.errors import Report, dotted
from lifelong.config.source import read_file

if TYPE_CHECKING:
    from lifelong.config import Resolved

NOT_COMPARED = ("record", "modules_from")
"""What makes no difference to the numbers of a run, or names a place alone."""


def differences(resolved: Resolved, settings: Mapping[str, Any], config: Path) -> list[str]:
    """The keys in which a run's config.yaml, which is there, says something else than these settings.

    Where it is silent, it says what `resolved` does.
    """
    try:
        # Read as a whole configuration: an older one has not written out what is new since.
        there = resolved.changed(read_file(config, Report(str(config)))).as_dict()
    except ValueError:
        return ["config.yaml, which this version of lifelong cannot read"]
    keys = [key for key in settings if key not in NOT_COMPARED]
    return [dotted(place) for key in keys for place in _unlike(there[key], settings[key], (key,))]


def _unlike(one: Any, other: Any, at: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(one, dict) and isinstance(other, dict):
        keys = dict.fromkeys([*one, *other])
        return [place for key in keys for place in _unlike(one.get(key), other.get(key), (*at, str(key)))]
    return [] if one == other else [at]
