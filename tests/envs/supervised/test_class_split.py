"""Split classes: which samples a task has, how they are numbered, and what the contract tells."""

from __future__ import annotations

import pytest
import torch

from lifelong.stream import Stream
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.timetable import Timetable

# Each sample holds its own label, so that what is served can be checked against what is asked.
LABELS = torch.arange(60) % 6
SIX = Arrays(LABELS.float()[:, None], LABELS, LABELS[:12].float()[:, None], LABELS[:12], name="six")


def pairs(stream: Stream) -> dict[str, set[tuple[int, int]]]:
    """For each task, (the sample's own class, the target served), over training and test."""
    found: dict[str, set[tuple[int, int]]] = {task.name: set() for task in stream.tasks}
    for batch, truth in stream.experiences():
        found[truth.task] |= set(zip(batch.inputs[:, 0].int().tolist(), batch.targets.tolist(), strict=True))
    for task in stream.tasks:
        test = set(zip(task.test_inputs[:, 0].int().tolist(), task.test_targets.tolist(), strict=True))
        assert test == found[task.name]
    return found


def test_a_shared_head_keeps_the_labels() -> None:
    stream = class_split(SIX, classes=2)
    assert pairs(stream) == {"A": {(0, 0), (1, 1)}, "B": {(2, 2), (3, 3)}, "C": {(4, 4), (5, 5)}}
    assert {(task.contract.outputs, task.contract.mask) for task in stream.tasks} == {(6, None)}
    assert [len(task.test_inputs) for task in stream.tasks] == [4, 4, 4]
    assert sum(len(batch.inputs) for batch, _ in stream.experiences()) == 60


def test_a_shared_head_tells_the_classes_only_where_judging_tells_the_task() -> None:
    told = class_split(SIX, scenario=Scenario(labels="judging"), groups=[[4, 1], [0, 2, 3]])
    assert [task.contract.mask for task in told.tasks] == [(1, 4), (0, 2, 3)]
    assert {batch.contract.mask for batch, _ in told.experiences()} == {(1, 4), (0, 2, 3)}
    hidden = class_split(SIX, scenario=Scenario(labels="training"), groups=[[4, 1], [0, 2, 3]])
    assert {batch.contract.mask for batch, _ in hidden.experiences()} == {None}


def test_a_head_per_task_numbers_classes_within_the_task() -> None:
    stream = class_split(SIX, scenario=Scenario(labels="judging", head="per_task"), groups=[[4, 1], [0, 2, 3]])
    assert pairs(stream) == {"A": {(4, 0), (1, 1)}, "B": {(0, 0), (2, 1), (3, 2)}}
    assert [task.contract.outputs for task in stream.tasks] == [2, 3]
    assert all(task.contract.own_head and task.contract.mask is None for task in stream.tasks)


@pytest.mark.parametrize("labels", ["never", "training"])
def test_the_number_of_outputs_does_not_tell_the_task_where_judging_hides_it(labels: str) -> None:
    scenario = Scenario(labels=labels, head="per_task")  # type: ignore[arg-type]
    stream = class_split(SIX, scenario=scenario, groups=[[4, 1], [0, 2, 3]])
    assert len({task.contract for task in stream.tasks}) == 1
    assert stream.tasks[0].contract.outputs == 3


def test_groups_may_share_classes_and_recur() -> None:
    stream = class_split(SIX, Timetable(order="B A B"), groups=[[0, 1], [1, 2]])
    assert pairs(stream) == {"A": {(0, 0), (1, 1)}, "B": {(1, 1), (2, 2)}}
    assert [task.name for task in stream.tasks] == ["B", "A"]


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match="the 6 classes of 'six' do not split into tasks of 4"):
        class_split(SIX, classes=4)
    with pytest.raises(ValueError, match="do not split into tasks of 0"):
        class_split(SIX, classes=0)
    with pytest.raises(ValueError, match="groups is empty"):
        class_split(SIX, groups=[])
    with pytest.raises(ValueError, match=r"the group \[\] is empty"):
        class_split(SIX, groups=[[0], []])
    with pytest.raises(ValueError, match=r"the group \[2, 2\] is empty or names a class twice"):
        class_split(SIX, groups=[[2, 2]])
    with pytest.raises(ValueError, match=r"names \[6, -1\], but 'six' has no .*\[0, 1, 2, 3, 4, 5\]"):
        class_split(SIX, groups=[[6, 0, -1]])


def test_targets_that_are_no_classes_are_refused() -> None:
    values = torch.rand(5, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="needs class labels, but 'floats' asks for regression"):
        class_split(Arrays(values, values, values, values, name="floats"))
