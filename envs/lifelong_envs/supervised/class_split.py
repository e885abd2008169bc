"""Split classes: each task has some of the classes of one data set."""

from __future__ import annotations

import torch

from lifelong_envs.supervised.data import DataSet, DataSource
from lifelong_envs.supervised.data.few import few
from lifelong_envs.supervised.letters import letter
from lifelong_envs.supervised.scenario import HIDDEN, Scenario
from lifelong_envs.supervised.task_stream import Lesson, TaskStream
from lifelong_envs.supervised.timetable import ONCE, Timetable


def class_split(
    data: DataSource,
    timetable: Timetable = ONCE,
    scenario: Scenario = HIDDEN,
    classes: int = 2,
    groups: list[list[int]] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> TaskStream:
    """A stream whose tasks A, B, C, ... are `groups` of classes, or `classes` at a time in label order.

    With a shared head a task keeps the data set's labels, and the contract lists the task's classes only
    where the scenario names the task in judging. With a head per task, labels count from 0 in the order of
    the group; where judging does not name the task, all tasks have as many outputs as the largest, so that
    their number tells nothing. Raises ValueError where targets are not classes, a group is empty, repeats or
    misses a class, or classes do not divide evenly. Source: F. Zenke et al., Continual learning through
    synaptic intelligence (2017), section 5.1.
    """
    source = data.load(torch.device(device))
    if not source.has_classes:
        raise ValueError(f"class_split needs class labels, but {source.name!r} asks for {source.objective.name}.")
    given = _even(source, classes) if groups is None else groups
    _check(source, given)
    names = tuple(letter(index) for index in range(len(given)))
    largest = max(map(len, given))

    def lesson(name: str) -> Lesson:
        group = given[names.index(name)]
        members = torch.tensor(group, device=device)
        number = torch.arange(source.outputs, device=device)
        outputs = source.outputs
        allowed: tuple[int, ...] | None = tuple(sorted(group))
        if scenario.head == "per_task":
            number[members] = torch.arange(len(group), device=device)
            outputs = len(group) if scenario.labels == "judging" else largest
            allowed = None
        test = torch.isin(source.test_targets, members)
        return Lesson(
            name,
            scenario.contract(source.input_shape, outputs, source.objective, allowed),
            source.train_inputs,
            number[source.train_targets],
            source.test_inputs[test],
            number[source.test_targets[test]],
            rows=torch.isin(source.train_targets, members).nonzero()[:, 0].cpu(),
        )

    lessons = [lesson(name) for name in timetable.visited(names)]
    return TaskStream(f"class-split {source.name}", lessons, timetable, scenario, seed)


def _even(source: DataSet, classes: int) -> list[list[int]]:
    if classes < 1 or source.outputs % classes:
        raise ValueError(
            f"class_split: the {source.outputs} classes of {source.name!r} do not split into tasks of "
            f"{classes}. Choose a divisor, or list the groups."
        )
    return [list(range(at, at + classes)) for at in range(0, source.outputs, classes)]


def _check(source: DataSet, groups: list[list[int]]) -> None:
    if not groups:
        raise ValueError("class_split: groups is empty. List at least one group of classes.")
    train, test = set(source.train_targets.tolist()), set(source.test_targets.tolist())
    for group in groups:
        if not group or len(set(group)) < len(group):
            raise ValueError(f"class_split: the group [{few(group)}] is empty or names a class twice.")
        missing = [label for label in group if label not in train or label not in test]
        if missing:
            raise ValueError(
                f"class_split: the group [{few(group)}] names [{few(missing)}], but {source.name!r} has no training or "
                f"no test samples of it. Its classes are [{few(sorted(train & test))}]."
            )
