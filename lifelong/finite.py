"""Numbers of a world that are none: found before anybody learns from many of them, and said with where they come from.

N lanes; transitions come lane by lane within a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lifelong.interaction import Array, Transitions

if TYPE_CHECKING:
    from lifelong.interaction import Lane

REMEDY = (
    "Nothing can be learned from numbers that are not finite: mend the environment, or give the world a `view` that "
    "puts others in their place."
)


def must_be_finite(block: Transitions, lanes: Sequence[Lane]) -> None:
    """Raises ValueError where rewards or observations of the lanes' latest steps are not; see `not_finite`."""
    said = not_finite(block, lanes)
    if said is not None:
        raise ValueError(said)


def not_finite(block: Transitions, lanes: Sequence[Lane]) -> str | None:
    """What is wrong with the first of the lanes' latest steps that showed no finite numbers; None: all is well.

    A lane that has `whereabouts(ago)`, which says where it was so many steps ago, is asked for it.
    """
    parts = ("reward", block.rewards), ("observation", block.next_observations), ("observation", block.observations)
    for what, values in parts:
        row = _first(values)
        if row is not None:
            lane, ago = row % len(lanes), (len(block) - 1 - row) // len(lanes)
            asked = getattr(lanes[lane], "whereabouts", None)
            where = f"lane {lane}, {ago} steps ago" if asked is None else asked(ago)
            return f"{where}: {foul(what, _row(values, row))}. {REMEDY}"
    return None


def is_finite(values: Any) -> bool:
    """Whether all numbers of an array, or of a dict of arrays, are finite; what cannot be other is."""
    if isinstance(values, dict):
        return all(map(is_finite, values.values()))
    array: Array = np.asarray(values)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def foul(what: str, value: Any) -> str:
    """What is said of one reward or observation that is not finite."""
    if isinstance(value, dict):
        key = next(key for key, part in value.items() if not is_finite(part))
        return foul(f"{what}[{key!r}]", value[key])
    array = np.asarray(value)
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    entry = f"{what}[{', '.join(map(str, place))}]" if place else f"the {what}"
    return f"{entry} is {array[place]}"


def _first(values: Any) -> int | None:
    if isinstance(values, dict):
        rows = [row for row in map(_first, values.values()) if row is not None]
        return min(rows, default=None)
    if is_finite(values):
        return None
    return int(np.argwhere(~np.isfinite(values))[0, 0])


def _row(values: Any, row: int) -> Any:
    return {key: part[row] for key, part in values.items()} if isinstance(values, dict) else values[row]
