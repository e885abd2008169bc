"""What a detector is shown of a world to act in: one file of numbers that rise where something is wrong.

The first is the default. The other two are there to be compared with it: a policy that learns moves both of them by
itself, and both stay silent where a change does not hurt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from lifelong.acting.policy import Policy
from lifelong.acting.world_model import Seen, WorldModel
from lifelong.interaction import Transitions

GRAIN = 32
"""Transitions, of those that are looked at, that make one value."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a signal may look at: some transitions, as the active expert's model sees them, and the returns of the
    episodes that ended with them."""

    transitions: Transitions
    seen: Seen | None
    returns: Sequence[float]


@runtime_checkable
class Signal(Protocol):
    """Gives any number of values a look, larger is worse."""

    def values(self, look: Look, model: WorldModel, policy: Policy) -> Sequence[float]: ...


@runtime_checkable
class Steady(Signal, Protocol):
    """A signal of which it is known beforehand how many values it gives."""

    def count(self, transitions: int) -> int:
        """Values of a look at so many transitions, once the model can be asked."""
        ...


@dataclass(frozen=True, slots=True)
class ModelError:
    """How badly the expert's model of its world foresaw what happened: one value for every GRAIN transitions.

    1 + the mean of `WorldModel.surprise`: the 1 stands for what the model expects of itself, so that a detector's
    spread, a share of the level, never gets finer than that.
    """

    def values(self, look: Look, model: WorldModel, policy: Policy) -> Sequence[float]:
        if look.seen is None:
            return []
        surprise = model.surprise(look.seen)
        return [1.0 + float(part.mean()) for part in np.array_split(surprise, self.count(len(surprise)))]

    def count(self, transitions: int) -> int:
        return max(1, transitions // GRAIN)


@dataclass(frozen=True, slots=True)
class NegativeReturn:
    """Minus the return of each episode that ended: what a person would look at first."""

    def values(self, look: Look, model: WorldModel, policy: Policy) -> Sequence[float]:
        return [-value for value in look.returns]


@dataclass(frozen=True, slots=True)
class TemporalDifference:
    """The mean error of the policy's own value function: one value a look, where it has one."""

    def values(self, look: Look, model: WorldModel, policy: Policy) -> Sequence[float]:
        errors = policy.temporal_differences(look.transitions)
        if errors is None:
            raise ValueError(
                "The algorithm has no value function to take temporal differences of: take another signal, such as "
                "model_error."
            )
        return [float(np.mean(errors))]

    def count(self, transitions: int) -> int:
        return 1
