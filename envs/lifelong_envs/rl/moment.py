"""Where a lane stands, as plain data: how its episode began, and generators, actions and observations written down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Begun:
    """How an episode began: after so many steps of the lane, with which options of reset, from which generators.

    draws: of the lane itself. generators: of those environments, by the number of their body, that had been reset.
    anew: how often environments had been made anew by then, by the number of their body.
    """

    steps: int
    options: dict[str, Any] | None
    draws: Mapping[str, Any]
    generators: Mapping[int, Mapping[str, Any]]
    anew: Mapping[int, int]

    def state(self) -> dict[str, Any]:
        """Numbers, text and lists."""
        return {
            "steps": self.steps,
            "options": self.options,
            "draws": plain(self.draws),
            "generators": plain(self.generators),
            "anew": dict(self.anew),
        }


def digest(observation: Any) -> str:
    """The same for observations that are equal to the last bit, and for no others."""
    found = hashlib.blake2b(digest_size=16)
    _feed(found, observation)
    return found.hexdigest()


def plain(value: Any) -> Any:
    """Arrays and numpy's numbers as lists and Python's numbers."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def copied(observation: Any, how: Callable[[Any], Any] = np.copy) -> Any:
    """An observation in arrays of its own; `how` makes them."""
    if isinstance(observation, dict):
        return {key: copied(part, how) for key, part in observation.items()}
    return how(observation) if isinstance(observation, np.ndarray) else observation


def _feed(found: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key in sorted(value):
            found.update(f"{key}:".encode())
            _feed(found, value[key])
    elif isinstance(value, tuple | list):
        for item in value:
            _feed(found, item)
    elif isinstance(value, str):
        found.update(value.encode())
    else:
        array = np.ascontiguousarray(value)
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(array.tobytes())
