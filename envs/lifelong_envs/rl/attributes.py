"""Numbers inside an environment, found by a path such as `gravity` or `model.opt.gravity[2]`, read and set in place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

_PATH = re.compile(r"[A-Za-z_]\w*(\[\d+\])*(\.[A-Za-z_]\w*(\[\d+\])*)*")
_PART = re.compile(r"[A-Za-z_]\w*|\[\d+\]")

MOST_NAMED = 20
"""Numbers of an environment that a message lists."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A number that an environment keeps: a dotted path from `env.unwrapped`, with indexes where needed.

    Raises ValueError for a path of another form.
    """

    path: str

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path):
            raise ValueError(
                f"{self.path!r} is no path to an attribute: write names with dots between them and indexes in "
                "brackets, such as gravity or model.opt.gravity[2]."
            )

    def read(self, env: Any) -> float:
        """Its value now. Raises ValueError where there is no such attribute, or it is no number."""
        *way, last = self._parts()
        value = _within(self._holder(env, way), last, self.path, numbers=True)
        if not _is_number(value):
            raise ValueError(f"{self.path!r} is {value!r:.80}, expected the path of a number. Add an index or a name.")
        return float(value)

    def write(self, env: Any, value: float) -> None:
        """Set it; one that is a whole number stays one."""
        *way, last = self._parts()
        holder = self._holder(env, way)
        whole = isinstance(_within(holder, last, self.path), int | np.integer)
        new = round(value) if whole else value
        if isinstance(last, int):
            holder[last] = new
        else:
            setattr(holder, last, new)

    def _parts(self) -> list[str | int]:
        return [int(part[1:-1]) if part[0] == "[" else part for part in _PART.findall(self.path)]

    def _holder(self, env: Any, way: Sequence[str | int]) -> Any:
        for part in way:
            env = _within(env, part, self.path)
        return env


def settle(env: Any) -> None:
    """Bring in step what an environment computes from its attributes once and keeps beside them."""
    if isinstance(env, CartPoleEnv):
        env.total_mass = env.masspole + env.masscart
        env.polemass_length = env.masspole * env.length


def _within(holder: Any, part: str | int, path: str, numbers: bool = False) -> Any:
    """`numbers`: what is looked for is one, so that only numbers are offered instead."""
    if isinstance(part, str):
        if hasattr(holder, part):
            return getattr(holder, part)
        raise ValueError(
            f"{path!r} leads nowhere: {type(holder).__name__} has no attribute {part!r}."
            f"{_others(holder, part, numbers)}"
        )
    try:
        return holder[part]
    except (TypeError, LookupError) as error:
        raise ValueError(f"{path!r} leads nowhere: [{part}] of a {type(holder).__name__}: {error}.") from error


def _others(holder: Any, wrong: str, numbers: bool) -> str:
    """What could have been meant, or else what there is."""
    there = list(_numeric(holder)) if numbers else [name for name in dir(holder) if not name.startswith("_")]
    close = difflib.get_close_matches(wrong, there, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    more = ", ..." if len(there) > MOST_NAMED else ""
    return f" Numbers that it has: {', '.join(there[:MOST_NAMED])}{more}." if numbers and there else ""


def _numeric(holder: Any) -> Iterator[str]:
    for name in dir(holder):
        # Attributes may be computed, and fail.
        with suppress(Exception):
            if not name.startswith("_") and _is_number(getattr(holder, name)):
                yield name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
