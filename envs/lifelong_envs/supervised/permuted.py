"""Permuted inputs: each task shuffles the pixels in its own way, and all ask the same question."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong_envs.supervised.data import DataSource
from lifelong_envs.supervised.letters import lettered, place
from lifelong_envs.supervised.permutations import permutations
from lifelong_envs.supervised.scenario import HIDDEN, Scenario
from lifelong_envs.supervised.task_stream import Lesson, TaskStream
from lifelong_envs.supervised.timetable import ONCE, Timetable


def permuted(
    data: DataSource,
    timetable: Timetable = ONCE,
    scenario: Scenario = HIDDEN,
    tasks: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> TaskStream:
    """A stream whose tasks A, B, C, ... are one data set under fixed permutations of all values of a sample.

    A keeps the identity; each other task has a permutation that depends on its name and the seed alone.
    `tasks` null means those that the timetable's order names, or five. Raises ValueError where there are not
    so many orders. Source: I. Goodfellow et al., An empirical investigation of catastrophic forgetting
    (2013), section 5.
    """
    source = data.load(torch.device(device))
    names = lettered(tasks, timetable)
    orders = permutations(source.train_inputs[0].numel(), len(names), seed)
    contract = scenario.contract(source.input_shape, source.outputs, source.objective)

    def lesson(name: str) -> Lesson:
        shuffle = PixelShuffle(orders[place(name)].to(device)) if place(name) else None
        return Lesson(
            name,
            contract,
            source.train_inputs,
            source.train_targets,
            shuffle(source.test_inputs) if shuffle else source.test_inputs,
            source.test_targets,
            on_chunk=shuffle,
        )

    lessons = [lesson(name) for name in timetable.visited(names)]
    return TaskStream(f"permuted {source.name}", lessons, timetable, scenario, seed)


@dataclass(frozen=True, slots=True, eq=False)
class PixelShuffle:
    """Puts value `order[i]` of each flattened sample at place i; `order` is an int64 permutation."""

    order: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1).index_select(1, self.order).view(inputs.shape)
