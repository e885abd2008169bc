"""Permuted inputs and permuted labels: bijections that belong to the task, whatever the order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lifelong.stream import Stream
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.label_permuted import label_permuted
from lifelong_envs.supervised.permutations import derangements, permutations
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable

PIXELS = torch.arange(60.0).view(1, 3, 4, 5)
ONE = Arrays(PIXELS, torch.tensor([0]), PIXELS, torch.tensor([0]))


def orders(stream: Stream) -> dict[str, Tensor]:
    """Which pixel each task puts where, read off its test sample."""
    return {task.name: task.test_inputs.flatten().long() for task in stream.tasks}


def test_the_first_task_keeps_the_pixels_and_the_others_are_different_bijections() -> None:
    found = orders(permuted(ONE, tasks=4))
    assert found["A"].tolist() == list(range(60))
    assert all(order.sort().values.tolist() == list(range(60)) for order in found.values())
    assert len({tuple(order.tolist()) for order in found.values()}) == 4


def test_a_tasks_permutation_does_not_depend_on_the_order_or_on_the_other_tasks() -> None:
    several = [
        orders(permuted(ONE, Timetable(order=order), tasks=tasks))["C"]
        for order, tasks in (("A B C", None), ("C A", None), ("C", 30), (None, 3))
    ]
    assert all(torch.equal(order, several[0]) for order in several)


def test_training_and_test_samples_are_permuted_alike() -> None:
    stream = permuted(ONE, Timetable(order="B A"))
    found = orders(stream)
    for batch, truth in stream.experiences():
        assert torch.equal(batch.inputs.flatten().long(), found[truth.task])
        assert batch.inputs.shape == (1, 3, 4, 5)


def test_the_permutation_depends_on_the_seed() -> None:
    assert not torch.equal(orders(permuted(ONE, tasks=2, seed=1))["B"], orders(permuted(ONE, tasks=2))["B"])


def test_more_tasks_than_there_are_permutations_are_refused() -> None:
    assert {tuple(p.tolist()) for p in permutations(3, 6, seed=0)} == {
        (0, 1, 2),
        (0, 2, 1),
        (1, 0, 2),
        (1, 2, 0),
        (2, 0, 1),
        (2, 1, 0),
    }
    with pytest.raises(ValueError, match="3 values have 6 orders, that is not enough for 7 tasks"):
        permutations(3, 7, seed=0)


def test_derangements_move_everything_and_none_comes_twice() -> None:
    # 4 things can be deranged in 9 ways.
    found = [p.tolist() for p in derangements(4, 10, seed=0)]
    assert found[0] == [0, 1, 2, 3]
    assert len({tuple(p) for p in found}) == 10
    assert all(value != at for p in found[1:] for at, value in enumerate(p))
    with pytest.raises(ValueError, match="4 classes can be renamed in 9 way"):
        derangements(4, 11, seed=0)


def test_label_permuted_renames_targets_and_leaves_inputs(images: Arrays) -> None:
    stream = label_permuted(images, Timetable(order="C A"))
    renamed = derangements(4, 3, seed=0)[2]
    labels = torch.arange(12) % 4
    by_name = {task.name: task for task in stream.tasks}
    assert torch.equal(by_name["C"].test_targets, renamed[labels])
    assert torch.equal(by_name["A"].test_targets, labels)
    assert torch.equal(by_name["C"].test_inputs, torch.as_tensor(images.test_inputs))

    label_of = {tuple(x.flatten().tolist()): int(n) % 4 for n, x in enumerate(images.train_inputs)}
    served = 0
    for batch, truth in stream.experiences():
        names = renamed if truth.task == "C" else torch.arange(4)
        own = torch.tensor([label_of[tuple(x.flatten().tolist())] for x in batch.inputs])
        assert torch.equal(batch.targets, names[own])
        served += len(own)
    assert served == 2 * 43


def test_label_permuted_needs_classes() -> None:
    numbers = torch.rand(5, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="needs class labels, but 'floats' asks for regression"):
        label_permuted(Arrays(numbers, numbers, numbers, numbers, name="floats"))
