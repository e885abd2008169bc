"""What is said where an algorithm fails at a setting that it takes without a look."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any


def told(settings: Mapping[str, Any]) -> str:
    """The settings as they were given, as a sentence."""
    if not settings:
        return "No settings were given."
    return "Settings given: " + ", ".join(f"{name}: {value}" for name, value in settings.items()) + "."


def failed(algorithm: str, settings: Mapping[str, Any], error: Exception) -> str:
    """What to say of an error that an algorithm raised while it learned."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{algorithm} failed while it learned: {type(error).__name__}: {error} ({frame.filename}:{frame.lineno}). "
        f"Check its settings: it takes some that it cannot learn with. {told(settings)}"
    )


def is_its_own(error: Exception) -> bool:
    """Whether an error arose in the algorithm, and not in who watches what it lives through."""
    frames = traceback.walk_tb(error.__traceback__)
    return not any(str(frame.f_globals.get("__name__")).startswith("lifelong.") for frame, _ in frames)
