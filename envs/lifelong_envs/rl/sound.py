"""What an environment gives, held against its own spaces: what cannot be learned from is found before anybody sees it.

What can be understood in one way only is let through: whole numbers where there should be others, lists for arrays, 0
and 1 for False and True.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space

from lifelong.finite import foul

Check = Callable[[Any], str | None]
"""What is wrong with an observation; None: nothing."""
StepCheck = Callable[[Any, Any, Any, Any, Any], str | None]
"""What is wrong with observation, reward, terminated, truncated and info; None: nothing."""

_FLAGS: frozenset[Any] = frozenset((bool, np.bool_))
_NUMBERS: frozenset[Any] = frozenset((float, int, np.float64, np.float32))
_MOST = float(np.finfo(np.float32).max)
"""Learners keep rewards in single precision."""
_FITTING = {"f": "fiub", "i": "iub", "u": "iub", "b": "b"}
"""Kinds of numbers that an array of a kind can take without losing what they say."""
_FEW = 32
"""Numbers that Python itself adds up faster than numpy does."""


def check_of_steps(space: Space[Any]) -> StepCheck:
    """For what the steps of an environment with this observation space give."""
    seen = check_of(space)
    most, numbers, flags = _MOST, _NUMBERS, _FLAGS

    # Written out, and what is usual first: it is done at every step of every lane.
    def check(observation: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> str | None:
        if (
            (terminated is False or terminated.__class__ in flags)
            and (truncated is False or truncated.__class__ in flags)
            and reward.__class__ in numbers
            and -most <= reward <= most
            and info.__class__ is dict
        ):
            return seen(observation)
        return _beside(reward, terminated, truncated, info) or seen(observation)

    return check


def check_of(space: Space[Any], name: str = "observation") -> Check:
    """For observations of a space. Of kinds that no learner takes, such as text, nothing is said."""
    if isinstance(space, Box):
        return _check_of_box(space, name)
    if isinstance(space, Dict):
        parts = {key: check_of(part, f"{name}[{key!r}]") for key, part in space.spaces.items()}
        return lambda seen: _of_dict(seen, parts, name)
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        return lambda seen: None if space.contains(seen) else f"{name} is {_shown(seen)}, expected one of {space}"
    return lambda _: None


def _check_of_box(space: Box, name: str) -> Check:
    shape, dtype, array = space.shape, space.dtype, np.ndarray
    if dtype.kind != "f":

        def whole(seen: Any) -> str | None:
            fits = seen.__class__ is array and seen.dtype == dtype and seen.shape == shape
            return None if fits else _of_box(seen, space, name)

        return whole
    if len(shape) == 1 and shape[0] <= _FEW:
        finite, total = math.isfinite, sum

        def few(seen: Any) -> str | None:
            fits = seen.__class__ is array and seen.dtype == dtype and seen.shape == shape
            # A sum that is finite has finite parts; of another one, each is looked at.
            return None if fits and finite(total(seen.tolist())) else _of_box(seen, space, name)

        return few
    fine, isfinite = np.ones(shape, dtype=bool).tobytes(), np.isfinite

    def many(seen: Any) -> str | None:
        fits = seen.__class__ is array and seen.dtype == dtype and seen.shape == shape
        # Comparing bytes costs a third of what a reduction does.
        return None if fits and isfinite(seen).tobytes() == fine else _of_box(seen, space, name)

    return many


def _of_box(seen: Any, space: Box, name: str) -> str | None:
    try:
        array = np.asarray(seen)
    except ValueError:
        return f"{name} is {_shown(seen)}, expected an array of shape {space.shape}"
    if array.dtype.kind not in _FITTING.get(space.dtype.kind, space.dtype.kind):
        return f"{name} is of type {array.dtype}, expected {space.dtype}"
    if array.shape != space.shape:
        return f"{name} is of shape {array.shape}, expected {space.shape}"
    with np.errstate(over="ignore"):
        kept = array.astype(space.dtype)
    return None if np.isfinite(kept).all() else foul(name, kept)


def _of_dict(seen: Any, parts: dict[str, Check], name: str) -> str | None:
    if not isinstance(seen, dict):
        return f"{name} is {_shown(seen)}, expected a dict with {', '.join(map(repr, parts))}"
    for key, check in parts.items():
        if key not in seen:
            return f"{name} has no {key!r}"
        wrong = check(seen[key])
        if wrong is not None:
            return wrong
    return None


def _beside(reward: Any, terminated: Any, truncated: Any, info: Any) -> str | None:
    number = _only(reward)
    if number is None or number.dtype.kind not in "fiub":
        return f"the reward is {_shown(reward)}, expected a number"
    if not -_MOST <= float(number) <= _MOST:
        return f"the reward is {float(number):g}"
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        told = _only(flag)
        if told is None or told.dtype.kind not in "biu" or int(told) not in (0, 1):
            return f"{name} is {_shown(flag)}, expected True or False"
    return None if isinstance(info, dict) else f"info is {_shown(info)}, expected a dict"


def _only(value: Any) -> Any:
    """The only entry of what is an array of one, or can be."""
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    return array.reshape(()) if array.size == 1 else None


def _shown(value: Any) -> str:
    return f"{value!r:.80}".replace("\n", " ")
