"""Rotated images: each task turns them by its own angle, and all ask the same question."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong_envs.supervised.data import DataSource
from lifelong_envs.supervised.letters import lettered, place
from lifelong_envs.supervised.scenario import HIDDEN, Scenario
from lifelong_envs.supervised.task_stream import Lesson, TaskStream
from lifelong_envs.supervised.timetable import ONCE, Timetable

_AT_ONCE = 1024


def rotated(
    data: DataSource,
    timetable: Timetable = ONCE,
    scenario: Scenario = HIDDEN,
    angles: list[float] | None = None,
    tasks: int | None = None,
    span: float = 180.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> TaskStream:
    """A stream whose tasks A, B, C, ... are one data set of images (C, H, W), turned counter-clockwise.

    `angles` are in degrees, one a task; where null, n tasks turn by 0, span/n, 2 span/n, ... degrees, n
    being `tasks`, or as many as the timetable's order reaches, or five. Training images are turned when a
    task is visited and kept until its last visit. Raises ValueError where samples are not images, or `tasks`
    is not the number of angles. Source: D. Lopez-Paz and M. Ranzato, Gradient episodic memory (2017),
    section 4.1.
    """
    source = data.load(torch.device(device))
    if len(source.input_shape) != 3:
        raise ValueError(
            f"rotated needs images of shape (channels, height, width), but samples of {source.name!r} have "
            f"shape {source.input_shape}."
        )
    if angles is not None and tasks not in (None, len(angles)):
        raise ValueError(f"rotated: {len(angles)} angles for tasks={tasks}. Give one of the two, or make them agree.")
    names = lettered(tasks if angles is None else len(angles), timetable)
    turns = angles or [index * span / len(names) for index in range(len(names))]
    contract = scenario.contract(source.input_shape, source.outputs, source.objective)

    def lesson(name: str) -> Lesson:
        rotation = Rotation(turns[place(name)])
        return Lesson(
            name,
            contract,
            source.train_inputs,
            source.train_targets,
            rotation(source.test_inputs),
            source.test_targets,
            prepare=rotation if rotation.turns else None,
        )

    lessons = [lesson(name) for name in timetable.visited(names)]
    return TaskStream(f"rotated {source.name}", lessons, timetable, scenario, seed)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Turns images (N, C, H, W) counter-clockwise about their centre, bilinearly, with zeros from outside."""

    degrees: float

    @property
    def turns(self) -> bool:
        return self.degrees % 360 != 0

    def __call__(self, images: Tensor) -> Tensor:
        if not self.turns:
            return images
        height, width = images.shape[-2:]
        c, s = cos(radians(self.degrees)), sin(radians(self.degrees))
        # The grid's coordinates run from -1 to 1 along either side: their ratio keeps the turn from shearing.
        turn = torch.tensor([[[c, -s * height / width, 0.0], [s * width / height, c, 0.0]]], device=images.device)
        grid = F.affine_grid(turn, [1, 1, height, width], align_corners=False)
        return torch.cat(
            [
                F.grid_sample(part, grid.expand(len(part), -1, -1, -1), align_corners=False)
                for part in torch.split(images, _AT_ONCE)
            ]
        )
