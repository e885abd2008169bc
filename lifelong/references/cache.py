"""Numbers that are costly to measure, kept in files that are found by what was measured."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Plain = Any
"""None, a bool, a whole or finite number, text, or lists and dicts with text keys of these."""


class Cache:
    """A folder of JSON files, each named by the SHA-256 of the plain data that describe what was measured.

    folder: None: `lifelong/references` in the user's cache directory. Whatever a number depends on belongs in its
    description: world, algorithm, settings, budget, seed, versions. A damaged file is as good as none. Several
    processes may use one folder.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = user_cache() / "lifelong" / "references" if folder is None else Path(folder).expanduser()

    def path(self, described: Plain) -> Path:
        """Where the entry for a description lies. Raises ValueError for what is no plain data, saying where it is."""
        return self.folder / f"{key_of(described)}.json"

    def known(self, described: Plain) -> Plain | None:
        """What was measured before; None where nothing was, or where its file is damaged."""
        path = self.path(described)
        try:
            entry = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
            whole = entry["described"] == _checked(described, "") and entry["digest"] == key_of(entry["value"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return entry["value"] if whole else None

    def measured(self, described: Plain, measure: Callable[[], Plain]) -> Plain:
        """What was measured before, or else what `measure` gives now, which is kept.

        The value must be plain data and not None. Raises ValueError where it, or the description, is not.
        """
        value = self.known(described)
        if value is None:
            value = measure()
            if value is None:
                raise ValueError("There must be something to keep: a measurement gave None.")
            digest = key_of(value)
            self._keep(self.path(described), {"described": described, "value": value, "digest": digest})
        return value

    def _keep(self, path: Path, entry: dict[str, Plain]) -> None:
        """Write the whole file or nothing. A folder that cannot be written to costs time, not the number."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.stem}-{os.getpid()}.part")
            part.write_text(json.dumps(entry, indent=1, ensure_ascii=False), encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            print(f"lifelong: what was measured cannot be kept in {path.parent}: {error.strerror}.", file=sys.stderr)


def key_of(described: Plain) -> str:
    """The SHA-256 of plain data, in hex: the same whatever the order of a dict's keys."""
    return hashlib.sha256(canonical(described).encode("utf-8")).hexdigest()


def canonical(value: Plain) -> str:
    """Plain data as one text, equal for equal data. Raises ValueError, saying where, for what is no plain data."""
    return json.dumps(_checked(value, ""), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def user_cache() -> Path:
    """Where programs keep what they can make again, on this system."""
    if sys.platform == "win32":
        given, default = os.environ.get("LOCALAPPDATA"), "~/AppData/Local"
    elif sys.platform == "darwin":
        given, default = None, "~/Library/Caches"
    else:
        given, default = os.environ.get("XDG_CACHE_HOME"), "~/.cache"
    return Path(given or default).expanduser()


def _checked(value: Plain, at: str) -> Plain:
    """The value with tuples as lists, as JSON gives it back."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _checked(part, f"{at}.{key}") for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_checked(part, f"{at}[{place}]") for place, part in enumerate(value)]
    raise ValueError(
        "Only plain data can be kept or be a key (text, finite numbers, lists, dicts with text keys), got "
        f"{value!r:.80} at {at.lstrip('.') or 'the top'}."
    )


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no finite number")
