"""A run as columns: what a record says, laid out once for every measure and figure.

R rows in the order of the stream; every column is an (R,) array. A row is one update, and several where the run is very
long (see `lifelong.evaluation.columns`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.columns import LIMIT, Columns
from lifelong.events import Event, Learned, RunStarted, TaskEntered, TaskFacts

Kind = TypeVar("Kind")


def is_world(task: TaskFacts) -> bool:
    """Whether a task is a world to act in: its scores are those of episodes, not of samples."""
    return task.metric in ("return", "normalised_return", "success")


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A stretch of the stream that really served one task: experiences start+1 .. stop."""

    task: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One run, read off its record.

    `events` holds every fact but the `Learned` ones, which are laid out in the columns: the step of each row's last
    update (1 is the first experience), how many updates it stands for, their expert, mean loss and prequential score in
    the task's metric, how many of them have a score, their highest detector statistic, and samples in all. broken: the
    first step of a row whose loss is no number, 0 where there is none. `end` is the last step that the record knows of.
    """

    started: RunStarted
    events: tuple[tuple[int, Event], ...]
    end: int
    steps: NDArray[np.int64]
    updates: NDArray[np.int64]
    experts: NDArray[np.int64]
    losses: NDArray[np.float64]
    scores: NDArray[np.float64]
    scored: NDArray[np.int64]
    statistics: NDArray[np.float64]
    samples: NDArray[np.float64]
    broken: NDArray[np.int64]

    def all(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """The facts of one kind with their steps, in order."""
        return [(step, event) for step, event in self.events if isinstance(event, kind)]

    def truth(self) -> list[Stretch]:
        """Which task was really served when, as far as the run got; one entry for each segment entered."""
        entered = self.all(TaskEntered)
        stops = [*(step for step, _ in entered), self.end][1:]
        return [Stretch(event.task, step, stop) for (step, event), stop in zip(entered, stops, strict=True)]

    def segments(self) -> tuple[str, ...]:
        """The task of each segment that was planned; of a stream whose segments nobody knew, of those lived through."""
        return self.started.segments or tuple(stretch.task for stretch in self.truth())

    def in_worlds(self) -> NDArray[np.bool_]:
        """(R,) where an update was of a world to act in: its score is a return, NaN where no episode ended."""
        worlds = {task.name for task in self.started.tasks if is_world(task)}
        inside = np.zeros(len(self.steps), dtype=bool)
        for stretch in self.truth():
            if stretch.task in worlds:
                inside |= (self.steps > stretch.start) & (self.steps <= stretch.stop)
        return inside

    def env_steps(self) -> int:
        """Steps taken in worlds to act in, over all lanes."""
        return round(float(self.samples[self.in_worlds()].sum()))

    def env_steps_per_experience(self) -> int | None:
        """How many steps in a world an experience there is. None: there was none in a world, or they differ."""
        inside = self.in_worlds()
        lived = np.unique(self.samples[inside] / self.updates[inside])
        return int(lived[0]) if len(lived) == 1 else None

    def oriented_scores(self) -> NDArray[np.float64]:
        """The prequential scores with the sign turned where the true task's metric is better when lower."""
        scores = self.scores.copy()
        lower = {task.name for task in self.started.tasks if not task.higher_is_better}
        for stretch in self.truth():
            if stretch.task in lower:
                scores[(self.steps > stretch.start) & (self.steps <= stretch.stop)] *= -1.0
        return scores


class Tracing:
    """Takes a record in as it grows, and lays it out at any time. What it holds is bounded but for what rarely happens.

    It watches a run as any subscriber does.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._started: RunStarted | None = None
        self._events: list[tuple[int, Event]] = []
        self._columns = Columns(limit)
        self._stretch = self._end = 0

    def on(self, step: int, event: Event) -> None:
        self._end = max(self._end, step)
        if isinstance(event, Learned):
            self._columns.add(step, event, self._stretch)
            return
        if isinstance(event, RunStarted):
            self._started = event
        elif isinstance(event, TaskEntered):
            self._stretch += 1
        self._events.append((step, event))

    def close(self) -> None:
        """Nothing is pending."""

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to lay out."""
        return self._started is not None

    def trace(self) -> Trace:
        """The record so far. Raises ValueError for one without RunStarted."""
        if self._started is None:
            raise ValueError("The record has no RunStarted, so its tasks are not known: is the file cut at its head?")
        table = self._columns.table()
        return Trace(
            started=self._started,
            events=tuple(self._events),
            end=self._end,
            steps=table["step"],
            updates=table["updates"],
            experts=table["expert"],
            losses=table["loss"],
            scores=table["score"],
            scored=table["scored"],
            statistics=table["statistic"],
            samples=table["samples"],
            broken=table["broken"],
        )


def trace_of(records: Iterable[tuple[int, Event]]) -> Trace:
    """Lay a record out in columns. Raises ValueError for a record without RunStarted."""
    tracing = Tracing()
    for step, event in records:
        tracing.on(step, event)
    return tracing.trace()
