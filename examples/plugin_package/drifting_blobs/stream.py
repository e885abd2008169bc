"""Blobs that drift away and change classes from task to task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.experience import Batch, Truth
from lifelong.objective import Classification, Contract
from lifelong.stream import Segment, Stream, Task


@dataclass(frozen=True, slots=True)
class Blobs:
    """Four Gaussian blobs in the plane; in task i they lie i * 4 higher and their labels have moved on by i."""

    tasks: Sequence[Task]
    steps: int
    seed: int
    device: str
    name: str = "drifting blobs"

    @property
    def segments(self) -> Sequence[Segment]:
        return [Segment(task.name, self.steps) for task in self.tasks]

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        for step in range(start, self.steps * len(self.tasks)):
            task = self.tasks[step // self.steps]
            inputs, targets = _draw(step // self.steps, self.seed, step, 32, self.device)
            yield Batch(inputs, targets, task.contract), Truth(task.name, step // self.steps)


def drifting_blobs(tasks: int = 2, steps: int = 150, seed: int = 0, device: str = "cpu") -> Stream:
    """Four blobs in the plane that drift upwards, and whose labels move on by one, from task to task."""
    if not 1 <= tasks <= 4 or steps < 1:
        raise ValueError(f"tasks must be 1 to 4 and steps at least 1, got tasks={tasks}, steps={steps}.")
    contract = Contract(input_shape=(2,), outputs=4, objective=Classification())
    names = [f"moved by {i}" for i in range(tasks)]
    made = [Task(name, contract, *_draw(i, seed, -1, 400, device)) for i, name in enumerate(names)]
    return Blobs(made, steps, seed, device)


def _draw(task: int, seed: int, step: int, count: int, device: str) -> tuple[Tensor, Tensor]:
    """(count, 2) points and their classes; `step` -1 gives the test set."""
    generator = torch.Generator().manual_seed((seed << 32) + (task << 20) + step + 1)
    blob = torch.randint(4, (count,), generator=generator)
    centres = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    inputs = centres[blob] + 0.3 * torch.randn(count, 2, generator=generator)
    inputs[:, 1] += 4.0 * task
    return inputs.to(device), ((blob + task) % 4).to(device)
