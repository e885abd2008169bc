"""Numbers inside an environment, found by a path such as `gravity` or `model.opt.gravity[2]`, read and set in place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

_PATH = re.compile(r"[A-Za-z_]\w*(\[\d+\])*(\.[A-Za-z_]\w*(\[\d+\])*)*")
_PART = re.compile(r"[A-Za-z_]\w*|\[\d+\]")


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
        value = _within(self._holder(env, way), last, self.path)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
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


def _within(holder: Any, part: str | int, path: str) -> Any:
    if isinstance(part, str):
        if hasattr(holder, part):
            return getattr(holder, part)
        close = difflib.get_close_matches(part, [name for name in dir(holder) if not name.startswith("_")], n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{path!r} leads nowhere: {type(holder).__name__} has no attribute {part!r}.{hint}")
    try:
        return holder[part]
    except (TypeError, LookupError) as error:
        raise ValueError(f"{path!r} leads nowhere: [{part}] of a {type(holder).__name__}: {error}.") from error
