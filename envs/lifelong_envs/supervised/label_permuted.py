"""Permuted labels: each task gives the same inputs other names, so that one network cannot serve them all."""

from __future__ import annotations

import torch

from lifelong_envs.supervised.data import DataSource
from lifelong_envs.supervised.letters import lettered, place
from lifelong_envs.supervised.permutations import derangements
from lifelong_envs.supervised.scenario import HIDDEN, Scenario
from lifelong_envs.supervised.task_stream import Lesson, TaskStream
from lifelong_envs.supervised.timetable import ONCE, Timetable


def label_permuted(
    data: DataSource,
    timetable: Timetable = ONCE,
    scenario: Scenario = HIDDEN,
    tasks: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> TaskStream:
    """A stream whose tasks A, B, C, ... are one data set with its classes renamed; inputs stay as they are.

    A keeps the labels; each other task moves every label, in a way that depends on its name and the seed
    alone and differs from all other tasks'. `tasks` null means those that the timetable's order names, or
    five. Raises ValueError where targets are not classes, or too few for so many tasks.
    """
    source = data.load(torch.device(device))
    if not source.has_classes:
        raise ValueError(f"label_permuted needs class labels, but {source.name!r} asks for {source.objective.name}.")
    names = lettered(tasks, timetable)
    renamings = derangements(source.outputs, len(names), seed)
    contract = scenario.contract(source.input_shape, source.outputs, source.objective)

    def lesson(name: str) -> Lesson:
        renamed = renamings[place(name)].to(device)
        return Lesson(
            name,
            contract,
            source.train_inputs,
            renamed[source.train_targets],
            source.test_inputs,
            renamed[source.test_targets],
        )

    lessons = [lesson(name) for name in timetable.visited(names)]
    return TaskStream(f"label-permuted {source.name}", lessons, timetable, scenario, seed)
