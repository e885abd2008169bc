"""Small components of every shape that a configuration can call: functions, classes, dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch

from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Query, Truth
from lifelong.learner import Learner, Size
from lifelong.objective import Classification, Contract
from lifelong.shift.detector import Detector, Shift
from lifelong.stream import Segment, Stream, Task


class DataSource(Protocol):
    """A protocol of the name under which lifelong.data is found."""

    def load(self) -> int: ...


class Gadget(Protocol):
    """A protocol that no group of entry points belongs to."""

    def turn(self) -> int: ...


@dataclass(frozen=True)
class Numbers:
    """Made-up samples."""

    count: int = 8
    spread: float = 1.0
    name: str = "numbers"

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count must be at least 1, got {self.count}.")

    def load(self) -> int:
        return self.count


@dataclass(frozen=True)
class Hours:
    """When to serve what."""

    order: str | list[str] | None = None
    steps: int = 4

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}.")


LONG_HOURS = Hours(steps=9)


class ToyStream:
    """What `toy_stream` makes."""

    def __init__(self, data: Any, hours: Hours, seed: int, device: Any) -> None:
        self.data, self.hours, self.seed, self.device = data, hours, seed, device
        contract = Contract((2,), 2, Classification())
        self._task = Task("A", contract, torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))

    @property
    def name(self) -> str:
        return "toy"

    @property
    def tasks(self) -> Sequence[Task]:
        return [self._task]

    @property
    def segments(self) -> Sequence[Segment]:
        return [Segment("A", self.hours.steps)]

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        for step in range(start, self.hours.steps):
            generator = torch.Generator().manual_seed(self.seed * 1000 + step)
            inputs = torch.randn(4, 2, generator=generator)
            yield Batch(inputs, (inputs[:, 0] > 0).long(), self._task.contract), Truth("A", 0)


def toy_stream(
    data: DataSource,
    hours: Hours = LONG_HOURS,
    tasks: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> ToyStream:
    """A stream made by a function."""
    return ToyStream(data, hours, seed, device)


def blend(streams: list[Stream], weights: tuple[float, ...] = ()) -> Stream:
    """A stream made of streams."""
    if weights and len(weights) != len(streams):
        raise ValueError(f"give one weight a stream, got {len(weights)} for {len(streams)}.")
    return streams[0]


@dataclass
class Alarm:
    """A detector with settings and a state of its own."""

    threshold: float = 5.0
    statistic: float = field(default=0.0, init=False)

    def update(self, value: float) -> Shift | None:
        self.statistic += value
        return None

    def rearm(self) -> None: ...

    def reset(self) -> None: ...

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Knob:
    """A gadget that keeps its setting under the same name, without being a dataclass."""

    def __init__(self, turns: int = 3, seed: int = 0) -> None:
        self.turns, self.seed = turns, seed

    def turn(self) -> int:
        return self.turns


DEFAULT_ALARM = Alarm(threshold=7.0)
DEFAULT_KNOB = Knob(turns=5)


class ToyAgent:
    """A learner made by a class."""

    def __init__(
        self,
        lr: float = 1e-3,
        widths: tuple[int, ...] = (4, 4),
        mode: Literal["slow", "fast"] = "slow",
        verbose: bool = False,
        title: str = "toy",
        detector: Detector | None = DEFAULT_ALARM,
        gadget: Gadget = DEFAULT_KNOB,
        activation: Callable[[float], float] = abs,
        seed: int = 0,
    ) -> None:
        if lr <= 0:
            raise ValueError(f"lr must be positive, got {lr}.")
        self.lr, self.widths, self.mode, self.verbose, self.title = lr, widths, mode, verbose, title
        self.detector, self.gadget, self.activation, self.seed = detector, gadget, activation, seed

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        return []

    def predict(self, query: Query) -> Prediction:
        raise NotImplementedError

    def size(self) -> Size:
        return Size(1, 0)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def needs_nothing() -> Learner:
    """An agent without settings."""
    return ToyAgent()


class Untyped:
    """A component that forgot an annotation."""

    def __init__(self, size=3) -> None:  # type: ignore[no-untyped-def]
        self.size = size


class NotALearner:
    """Something else."""


NOT_CALLABLE = 3
