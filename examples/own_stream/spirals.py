"""A stream of one's own: two spirals to be told apart, which lie elsewhere and turn further in each task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from envs.noise import shaken  # the user's own package called envs: lifelong has none of that name
from torch import Tensor

from lifelong.experience import Batch, Truth
from lifelong.objective import Classification, Contract
from lifelong.stream import Segment, Task


class Spirals:
    """Points of two spirals, (B, 2) floats; task i is turned by i * `turn` degrees and lies i * `apart` to the right.

    With `apart` 0 the tasks contradict each other on the same inputs, and no unlabelled test point tells its task.
    """

    def __init__(
        self,
        tasks: int = 3,
        turn: float = 180.0,
        apart: float = 3.0,
        steps: int = 150,
        batch_size: int = 32,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if not 1 <= tasks <= 1000 or steps < 1 or not 0 <= seed < 2**31:
            raise ValueError(
                f"tasks must be 1 to 1000, steps at least 1, and seed less than 2^31, got {tasks, steps, seed}."
            )
        self._turn, self._apart = turn, apart
        self._steps, self._batch_size, self._seed, self._device = steps, batch_size, seed, device
        self._contract = Contract(input_shape=(2,), outputs=2, objective=Classification())
        self._tasks = [Task(f"turn {i}", self._contract, *self._draw(i, step=-1, count=500)) for i in range(tasks)]

    @property
    def name(self) -> str:
        return "spirals"

    @property
    def tasks(self) -> Sequence[Task]:
        return self._tasks

    @property
    def segments(self) -> Sequence[Segment]:
        return [Segment(task.name, self._steps) for task in self._tasks]

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        for step in range(start, self._steps * len(self._tasks)):
            place = step // self._steps
            inputs, targets = self._draw(place, step, self._batch_size)
            yield Batch(inputs, targets, self._contract), Truth(self._tasks[place].name, place)

    def _draw(self, place: int, step: int, count: int) -> tuple[Tensor, Tensor]:
        # A generator for each step, not one for the walk: any step can be reached without those before it.
        generator = torch.Generator().manual_seed((self._seed << 32) + (place << 20) + step + 1)
        targets = torch.randint(2, (count,), generator=generator)
        radius = torch.rand(count, generator=generator)
        angle = 4 * radius + math.pi * targets + math.radians(self._turn * place)
        inputs = radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        inputs[:, 0] += self._apart * place
        return shaken(inputs, generator).to(self._device), targets.to(self._device)
