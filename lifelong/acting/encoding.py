"""Observations and actions of any space as rows of numbers, for models of worlds.

B rows, D numbers of an observation. What is wider than `WIDEST` is seen through a fixed random projection, which keeps
distances roughly (Johnson & Lindenstrauss 1984); so are actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from lifelong.interaction import Array, Observations

if TYPE_CHECKING:
    from lifelong.interaction import Space

Rows = NDArray[np.float64]
WIDEST = 48
MOST_CHOICES = 64
"""Actions that each get a model of their own; more are seen as numbers."""


class Encoding:
    """How a model sees one kind of world. `width` is D; `choices` the number of actions, None where they are numbers.

    Raises ValueError for spaces that rows of numbers cannot stand for, such as text.
    """

    def __init__(self, observation_space: Space, action_space: Space) -> None:
        self._observe, wide = _encoder(observation_space)
        self._squeeze = None if wide <= WIDEST else _projection(wide)
        self.width = min(wide, WIDEST)
        count = getattr(action_space, "n", None)
        discrete = type(action_space).__name__ == "Discrete" and count is not None and int(count) <= MOST_CHOICES
        self.choices = int(count) if discrete and count is not None else None
        self._first = int(getattr(action_space, "start", 0)) if discrete else 0
        self._act, wide = _encoder(action_space)
        self._squeeze_actions = None if wide <= WIDEST else _projection(wide)
        self.action_width = min(wide, WIDEST)

    def observations(self, observations: Observations) -> Rows:
        """(B, D)."""
        rows = self._observe(observations)
        squeezed: Rows = rows if self._squeeze is None else rows @ self._squeeze
        return squeezed

    def choice(self, actions: Array) -> NDArray[np.int64]:
        """(B,) places 0 .. choices - 1."""
        return actions.reshape(len(actions)).astype(np.int64) - self._first

    def actions(self, actions: Array) -> Rows:
        """(B, action_width)."""
        rows = self._act(actions)
        squeezed: Rows = rows if self._squeeze_actions is None else rows @ self._squeeze_actions
        return squeezed


def _projection(wide: int) -> Rows:
    drawn: Rows = np.random.default_rng(0).standard_normal((wide, WIDEST)) / math.sqrt(WIDEST)
    return drawn


def _encoder(space: Any) -> tuple[Callable[[Any], Rows], int]:
    """A function from a batch of what is in the space to rows, and how wide these are."""
    kind = type(space).__name__
    if kind == "Box":
        size = int(np.prod(space.shape))
        # Pixels come as bytes; everything else is left in its own unit, and standardised by the model.
        unit = 255.0 if space.dtype == np.uint8 and np.max(space.high) > 100 else 1.0
        return lambda x: np.asarray(x, dtype=np.float64).reshape(len(x), size) / unit, size
    if kind == "Discrete":
        count, first = int(space.n), int(space.start)
        return lambda x: np.eye(count)[np.asarray(x).reshape(len(x)).astype(np.int64) - first], count
    if kind == "MultiBinary":
        size = int(np.prod(space.shape))
        return lambda x: np.asarray(x, dtype=np.float64).reshape(len(x), size), size
    if kind == "MultiDiscrete":
        counts, firsts = [int(n) for n in np.ravel(space.nvec)], np.ravel(space.start)

        def one_hots(x: Any) -> Rows:
            flat = np.asarray(x).reshape(len(x), len(counts)).astype(np.int64) - firsts
            return np.concatenate([np.eye(n)[flat[:, i]] for i, n in enumerate(counts)], axis=1)

        return one_hots, sum(counts)
    if kind == "Dict" and not any(type(part).__name__ == "Dict" for part in space.spaces.values()):
        parts = {key: _encoder(part) for key, part in sorted(space.spaces.items())}

        def beside(x: Any) -> Rows:
            return np.concatenate([encode(x[key]) for key, (encode, _) in parts.items()], axis=1)

        return beside, sum(width for _, width in parts.values())
    raise ValueError(
        f"A space of kind {kind} cannot be seen as numbers (got {space}): expected Box, Discrete, MultiDiscrete, "
        "MultiBinary or a Dict of these, not nested. Wrap the environment so that its spaces are of these kinds."
    )


def same_kind(one: Encoding, other: Encoding) -> bool:
    """Whether a model made for one can be asked about the other."""
    return (one.width, one.choices, one.action_width) == (other.width, other.choices, other.action_width)


def count_of(observations: Observations) -> int:
    """B."""
    return len(next(iter(observations.values())) if isinstance(observations, dict) else cast(Any, observations))
