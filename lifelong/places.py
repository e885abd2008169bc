"""Where the modules lie that a configuration names: looked into first for them, and last for all that nobody named.

A file beside a configuration is imported because it is named there, never because it is called like a library.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_first: list[str] = []


def look_in(folders: Sequence[Path]) -> None:
    """Have named modules looked for in these folders, in this order, before anywhere else."""
    _first[:] = dict.fromkeys(str(folder.resolve()) for folder in folders)
    sys.path += [folder for folder in _first if folder not in sys.path]
    importlib.invalidate_caches()


def import_named(module: str) -> ModuleType:
    """Import a module that somebody named. Raises what importing it raises."""
    added = list(_first)
    sys.path[:0] = added
    try:
        return importlib.import_module(module)
    finally:
        for folder in added:
            if folder in sys.path:
                sys.path.remove(folder)
