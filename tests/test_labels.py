"""Batches that do not hold what their contract says are told with task and label; right ones are left alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.labels import explain, must_be_answerable, must_fit
from lifelong.objective import Accuracy, Classification, Contract, Objective, Regression

CONTRACT = Contract((4,), 3, Classification())


def batch(targets: Tensor, contract: Contract = CONTRACT, width: int = 4) -> Batch:
    return Batch(torch.zeros(len(targets), width), targets, contract)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (torch.tensor([0, 3]), "Task 'A' has the label 3, .* give the contract outputs=4"),
        (torch.tensor([-1, 3]), "Task 'A' has the label -1, and its contract outputs for 0 to 2 alone"),
        (torch.tensor([-100]), "the label -100"),
        (torch.tensor([[0], [1]]), r"targets of type torch.int64 and shape \(2, 1\), expected one int64 class"),
        (torch.tensor([0, 1], dtype=torch.int32), "targets of type torch.int32"),
    ],
)
def test_labels_without_an_output_are_told(targets: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        must_fit(batch(targets), "A")


def test_inputs_of_another_shape_are_told() -> None:
    with pytest.raises(ValueError, match=r"Task 'A' gave inputs of shape \(5,\), and its contract says \(4,\)"):
        must_fit(batch(torch.tensor([0]), width=5), "A")


class Own:
    """An objective whose labels mean something of their own."""

    metric = Accuracy()
    name = "own"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum()


@pytest.mark.parametrize(
    ("targets", "objective"),
    [
        (torch.tensor([0, 1, 2]), Classification()),
        (torch.full((2, 3), 1 / 3), Classification()),
        (torch.tensor([7, -7]), Own()),
        (torch.zeros(2, 3), Regression()),
    ],
)
def test_what_is_right_or_not_ours_to_judge_is_left_alone(targets: Tensor, objective: Objective) -> None:
    must_fit(batch(targets, Contract((4,), 3, objective)), "A")
    must_be_answerable(targets, Contract((4,), 3, objective), "A")


def test_a_step_that_failed_for_another_reason_is_not_explained() -> None:
    explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), batch(torch.tensor([1])), "A")


def test_what_a_device_says_late_is_told_with_the_way_to_find_out() -> None:
    late = RuntimeError("CUDA error: device-side assert triggered")
    with pytest.raises(ValueError, match=r"task 'A' is out of range for the device, .* device=cpu names it") as caught:
        explain(late, batch(torch.tensor([1])), "A")
    assert caught.value.__cause__ is late
