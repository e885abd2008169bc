"""The contract of everything that learns: take an experience in, answer questions, be saved and restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Prospect, Query
from lifelong.interaction import Actor, Interaction, Stage


@dataclass(frozen=True, slots=True)
class Size:
    """How large a learner is now: experts, and trainable numbers in all of them (shared ones counted once).

    bytes: what they take in memory, with all that is remembered of their worlds. archived: bytes on the disk, of what
    was put away. nonzero: trainable numbers that are not zero, where experts are pruned. stored_samples:
    samples of the stream that are kept to learn from or to tell worlds apart. stored_bytes: what these take in memory,
    with all else that is kept of the past (importances, copies of weights). None: not accounted for.
    """

    experts: int
    parameters: int
    bytes: int | None = None
    archived: int | None = None
    nonzero: int | None = None
    stored_samples: int | None = None
    stored_bytes: int | None = None

    def keeping(self, samples: int, kept: int) -> Size:
        """This, with so many more samples and bytes that are kept of the past."""
        return replace(
            self,
            bytes=(self.bytes or 0) + kept,
            stored_samples=(self.stored_samples or 0) + samples,
            stored_bytes=(self.stored_bytes or 0) + kept,
        )


@runtime_checkable
class Agent(Protocol):
    """Anything that can live through a stream: a `Learner` of batches, an `ActingLearner`, or both in one."""

    def size(self) -> Size: ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on as if nothing had happened: tensors, plain data, batches and contracts."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Learner(Agent, Protocol):
    """Learns from labelled batches.

    `learn` returns what happened, in order; the `Update` of the experience comes first. It returns a sequence, never
    a generator: an unread generator would not learn. `predict` must not change what is learned.
    """

    def learn(self, batch: Batch) -> Sequence[Update | Event]: ...

    def predict(self, query: Query) -> Prediction: ...


@runtime_checkable
class ActingLearner(Agent, Protocol):
    """Learns by acting in worlds.

    `live` takes exactly the steps that it is given, and returns what happened as `Learner.learn` does: one `Update`, of
    the expert that acts in the end, first. `actor` gives one that acts as the learner would now; what it is shown
    changes nothing in the learner.
    """

    def live(self, interaction: Interaction) -> Sequence[Update | Event]: ...

    def actor(self, stage: Stage) -> Actor: ...


@runtime_checkable
class Foresighted(Protocol):
    """A learner that acts and can say beforehand what it could do in a world. Asking changes nothing in it."""

    def check(self, stage: Stage) -> None:
        """Raises ValueError where it could not act in such a world."""
        ...

    def blind(self, stage: Stage) -> int | None:
        """Environment steps in a new world before which it cannot notice that this one is left for another.

        None: it does not look out for that, or cannot tell.
        """
        ...


@runtime_checkable
class Particular(Protocol):
    """A learner that may not be able to keep its promise on every stream of batches."""

    @property
    def is_particular(self) -> bool:
        """Whether it needs anything that not every stream gives, so that `suits` is worth a first batch."""
        ...

    def suits(self, first: Batch, prospect: Prospect | None = None) -> None:
        """Raises ValueError where it could not on one that begins like this. Changes nothing in it."""
        ...


@runtime_checkable
class Awaiting(Protocol):
    """A learner that may hold methods which begin to work only as a task has ended."""

    @property
    def awaits_ends(self) -> bool:
        """Whether it holds any."""
        ...


@runtime_checkable
class Accountable(Protocol):
    """A learner that can say what holds each of its parameters: what the record keeps of that as a run ends."""

    def held(self) -> Sequence[Event]: ...


@runtime_checkable
class Watchful(Protocol):
    """A learner that looks out for shifts: what the record shows beside its detector's statistic."""

    @property
    def threshold(self) -> float | None: ...
