"""The contract of everything that learns: take an experience in, answer questions, be saved and restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Query


@dataclass(frozen=True, slots=True)
class Size:
    """How large a learner is now: experts, and trainable numbers in all of them (shared ones counted once).

    bytes: what they take in memory, with all that is remembered of their worlds. archived: bytes on the disk, of what
    was put away. nonzero: trainable numbers that are not zero, where experts are pruned. None: not accounted for.
    """

    experts: int
    parameters: int
    bytes: int | None = None
    archived: int | None = None
    nonzero: int | None = None


@runtime_checkable
class Learner(Protocol):
    """Anything that can live through a stream.

    `learn` returns what happened, in order; the `Update` of the experience comes first. It returns a sequence, never
    a generator: an unread generator would not learn. `predict` must not change what is learned.
    """

    def learn(self, batch: Batch) -> Sequence[Update | Event]: ...

    def predict(self, query: Query) -> Prediction: ...

    def size(self) -> Size: ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on as if nothing had happened: tensors, plain data, batches and contracts."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Accountable(Protocol):
    """A learner that can say what holds each of its parameters: what the record keeps of that as a run ends."""

    def held(self) -> Sequence[Event]: ...


@runtime_checkable
class Watchful(Protocol):
    """A learner that looks out for shifts: what the record shows beside its detector's statistic."""

    @property
    def threshold(self) -> float | None: ...
