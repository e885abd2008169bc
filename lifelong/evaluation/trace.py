"""A run as columns: what a record says, laid out once for every measure and figure.

U updates in the order of the stream; every column is a (U,) array.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

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

    `events` holds every fact but the `Learned` ones, which are laid out in the columns: the step of each
    update (1 is the first experience), its expert, loss, prequential score in the task's metric, detector
    statistic and number of samples. `end` is the last step that the record knows of.
    """

    started: RunStarted
    events: tuple[tuple[int, Event], ...]
    end: int
    steps: NDArray[np.int64]
    experts: NDArray[np.int64]
    losses: NDArray[np.float64]
    scores: NDArray[np.float64]
    statistics: NDArray[np.float64]
    samples: NDArray[np.float64]

    def all(self, kind: type[Kind]) -> list[tuple[int, Kind]]:
        """The facts of one kind with their steps, in order."""
        return [(step, event) for step, event in self.events if isinstance(event, kind)]

    def truth(self) -> list[Stretch]:
        """Which task was really served when, as far as the run got; one entry for each segment entered."""
        entered = self.all(TaskEntered)
        stops = [*(step for step, _ in entered), self.end][1:]
        return [Stretch(event.task, step, stop) for (step, event), stop in zip(entered, stops, strict=True)]

    def in_worlds(self) -> NDArray[np.bool_]:
        """(U,) where an update was of a world to act in: its score is a return, NaN where no episode ended."""
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
        lived = np.unique(self.samples[self.in_worlds()])
        return int(lived[0]) if len(lived) == 1 else None

    def oriented_scores(self) -> NDArray[np.float64]:
        """The prequential scores with the sign turned where the true task's metric is better when lower."""
        scores = self.scores.copy()
        lower = {task.name for task in self.started.tasks if not task.higher_is_better}
        for stretch in self.truth():
            if stretch.task in lower:
                scores[(self.steps > stretch.start) & (self.steps <= stretch.stop)] *= -1.0
        return scores


def trace_of(records: Iterable[tuple[int, Event]]) -> Trace:
    """Lay a record out in columns. Raises ValueError for a record without RunStarted."""
    started: RunStarted | None = None
    events: list[tuple[int, Event]] = []
    blocks: list[tuple[int, Learned]] = []
    end = 0
    for step, event in records:
        end = max(end, step)
        if isinstance(event, Learned):
            blocks.append((step, event))
            continue
        if isinstance(event, RunStarted):
            started = event
        events.append((step, event))
    if started is None:
        raise ValueError("The record has no RunStarted, so its tasks are not known: is the file cut at its head?")
    lengths = [len(block.losses) for _, block in blocks]
    # One update happens on each step, so the step of a block's last update tells the steps of all.
    steps = [np.arange(step - n + 1, step + 1) for (step, _), n in zip(blocks, lengths, strict=True)]
    per_update = [block.samples / max(len(block.losses), 1) for _, block in blocks]
    return Trace(
        started=started,
        events=tuple(events),
        end=end,
        steps=np.concatenate([np.empty(0, np.int64), *steps]).astype(np.int64),
        experts=np.repeat(np.array([block.expert for _, block in blocks], dtype=np.int64), lengths),
        losses=_column([block.losses for _, block in blocks]),
        scores=_column([block.scores for _, block in blocks]),
        statistics=_column([block.statistics for _, block in blocks]),
        samples=np.repeat(np.array(per_update, dtype=np.float64), lengths),
    )


def _column(blocks: list[tuple[float, ...]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(np.array(block, dtype=np.float64) for block in blocks)])
