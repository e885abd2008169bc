"""One world of a stream, to be lived in without the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lifelong.experience import Truth
from lifelong.interaction import Interaction
from lifelong.stream import EnvTask, Segment


class OneWorld:
    """A stream of one visit to one world: `experiences` times `env_steps` steps in `lanes` lanes.

    The lanes are environments of the task's own, apart from those in which it is judged; lane i begins from
    `reset(seed=seed + i)`. Raises ValueError for numbers below 1, and, from `experiences`, for a start in the middle.
    """

    def __init__(self, task: EnvTask, experiences: int, env_steps: int, lanes: int = 1, seed: int = 0) -> None:
        if experiences < 1 or lanes < 1:
            raise ValueError(f"One world needs experiences and lanes, got experiences={experiences}, lanes={lanes}.")
        self._task, self._env_steps, self._seed = task, env_steps, seed
        self._segment = Segment(task.name, experiences)
        # The first ones are those that the task is judged in, where it gives the same ones again.
        self._lanes = tuple(task.lanes(task.episodes + lanes)[task.episodes :])

    @property
    def name(self) -> str:
        return f"{self._task.name} alone"

    @property
    def tasks(self) -> Sequence[EnvTask]:
        return (self._task,)

    @property
    def segments(self) -> Sequence[Segment]:
        return (self._segment,)

    def experiences(self, start: int = 0) -> Iterator[tuple[Interaction, Truth]]:
        if start != 0:
            raise ValueError(f"{self.name!r} is lived through at once: it cannot be taken up at step {start}.")
        for place, lane in enumerate(self._lanes):
            lane.reset(seed=self._seed + place)
        world = Interaction(self._lanes, self._env_steps, self._task.label)
        for _ in range(self._segment.steps):
            yield world, Truth(self._task.name, 0)
