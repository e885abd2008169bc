"""What a learner is given where it may act: a world to live in for so many steps, and what its steps showed.

Shapes: N lanes (copies of one world, stepped together), B transitions. Observations are one array with B first, or for
Dict spaces a dict of such arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lifelong.mishaps import LaneFailed

if TYPE_CHECKING:
    import gymnasium

    Lane = gymnasium.Env[Any, Any]
    Space = gymnasium.Space[Any]

Array = NDArray[Any]
Observations = Array | dict[str, Array]
"""(B, ...) or, of a Dict space, (B, ...) under each key."""


class LaneFault(ValueError):
    """An environment that is judged in failed: its episode is over, and `reset` begins one in an environment made anew.

    why: what it did, without where it was and what to do about it.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class WorldLost(ValueError):
    """A world failed so often that nobody can live in it, or be judged in it: what was learned lately may be lost."""


@runtime_checkable
class Telling(Protocol):
    """A lane that mends itself, and has to tell of it."""

    def told(self) -> Sequence[LaneFailed]:
        """What happened since it was last asked, for the record."""
        ...


@dataclass(frozen=True, slots=True)
class Interaction:
    """Permission to act in a world for `steps` environment steps, the same number in each of its lanes.

    lanes: gymnasium environments of equal spaces, the same objects in each interaction of a world. They go on where
    they were left, in the middle of an episode as a rule, and are never reset between two interactions; what has
    not begun yet is begun by `reset()`. The world inside them may change at any step. Exactly `steps` are to be
    taken. `task` and `boundary` are what they are in a `Batch`: set only where the scenario shows them.

    Raises ValueError where the steps cannot be shared out evenly, or the lanes' spaces differ.
    """

    lanes: tuple[Lane, ...]
    steps: int
    task: str | None = None
    boundary: bool = False

    def __post_init__(self) -> None:
        if not self.lanes:
            raise ValueError("An interaction needs at least one lane (an environment) to act in, got none.")
        if self.steps < 1 or self.steps % len(self.lanes):
            near = max(1, round(self.steps / len(self.lanes))) * len(self.lanes)
            raise ValueError(
                f"An interaction takes the same number of steps in each of its {len(self.lanes)} lanes, "
                f"got {self.steps} in all: give a multiple of {len(self.lanes)}, such as {near}."
            )
        first = self.lanes[0]
        if any(
            _differ(lane.observation_space, first.observation_space) or _differ(lane.action_space, first.action_space)
            for lane in self.lanes[1:]
        ):
            raise ValueError("The lanes of one interaction must have equal observation and action spaces.")

    @property
    def observation_space(self) -> Space:
        return self.lanes[0].observation_space

    @property
    def action_space(self) -> Space:
        return self.lanes[0].action_space

    def told(self) -> list[LaneFailed]:
        """What its lanes have to tell since they were last asked: for the record, and nothing to learn from."""
        return [fact for lane in self.lanes if isinstance(lane, Telling) for fact in lane.told()]


def _differ(one: Space, other: Space) -> bool:
    # The very same object as a rule, and comparing the bounds of boxes is slow.
    return one is not other and one != other


@dataclass(frozen=True, slots=True)
class Transitions:
    """What B steps in a world showed. `next_observations` of an episode's last step are those that ended it."""

    observations: Observations
    actions: Array
    rewards: Array
    next_observations: Observations
    terminated: Array
    truncated: Array

    def __len__(self) -> int:
        return len(self.rewards)

    def rows(self, chosen: slice | Array) -> Transitions:
        """Some of them: a slice, places or a mask over the B rows."""

        def take(x: Observations) -> Observations:
            return {key: value[chosen] for key, value in x.items()} if isinstance(x, dict) else x[chosen]

        return Transitions(
            take(self.observations),
            self.actions[chosen],
            self.rewards[chosen],
            take(self.next_observations),
            self.terminated[chosen],
            self.truncated[chosen],
        )

    @staticmethod
    def joined(parts: Sequence[Transitions]) -> Transitions:
        """All rows of several, in order; at least one part."""

        def join(xs: Sequence[Observations]) -> Observations:
            if isinstance(xs[0], dict):
                return {key: np.concatenate([x[key] for x in xs]) for key in xs[0]}
            return np.concatenate(xs)  # type: ignore[arg-type]

        return Transitions(
            join([p.observations for p in parts]),
            np.concatenate([p.actions for p in parts]),
            np.concatenate([p.rewards for p in parts]),
            join([p.next_observations for p in parts]),
            np.concatenate([p.terminated for p in parts]),
            np.concatenate([p.truncated for p in parts]),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """While being judged, an actor changed its mind: after `steps` steps of an episode, `expert` took over."""

    steps: int
    expert: int
    instead_of: int


@runtime_checkable
class Actor(Protocol):
    """Acts in N lanes of a world without learning, one episode in each, and may find out which world it is in.

    It is given what acting in the world gives, and nothing else.
    """

    def act(self, observations: Observations, lanes: Array) -> Array:
        """Observations of the lanes that still go on, and their numbers (M,) int64 -> an action for each of them."""
        ...

    def observe(self, transitions: Transitions, lanes: Array) -> None:
        """What the last actions in these lanes did: (M,) transitions."""
        ...

    @property
    def experts(self) -> Array:
        """(N,) int64: who acts in each lane now; -1 where there is nobody yet."""
        ...

    @property
    def found(self) -> Sequence[Found]:
        """Every change of mind so far, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What an actor is told of the world that it will be judged in: its spaces, N lanes, and the task where shown."""

    observation_space: Space
    action_space: Space
    lanes: int
    task: str | None = None
