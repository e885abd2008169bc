"""Data sets are checked once, at their making; arrays and torch data sets become data sets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, TensorDataset

from lifelong.objective import Classification, Explained, MultiLabel, Objective, Regression
from lifelong_envs.supervised.data import Arrays, DataSet, DataSource, Digits, from_torch_dataset

CPU = torch.device("cpu")
X = torch.arange(12.0).view(6, 2)
Y = torch.tensor([0, 1, 2, 0, 1, 2])


def data_set(**changes: Any) -> DataSet:
    parts: dict[str, Any] = {
        "name": "tiny",
        "train_inputs": X,
        "train_targets": Y,
        "test_inputs": X,
        "test_targets": Y,
        "outputs": 3,
        "objective": Classification(),
    }
    return DataSet(**(parts | changes))


def test_a_sound_data_set_says_its_shape() -> None:
    assert data_set().input_shape == (2,)
    assert data_set().has_classes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": 0}, "at least one output"),
        ({"outputs": 2}, r"train_targets hold labels 0..2, outside 0..1"),
        ({"test_targets": Y - 1}, r"test_targets hold labels -1..1, outside 0..2"),
        ({"train_targets": Y[:5]}, "train: 6 inputs but 5 targets"),
        ({"train_inputs": X[:0], "train_targets": Y[:0]}, "train_inputs is empty"),
        ({"test_inputs": X[:, :0]}, "test_inputs is empty"),
        ({"test_inputs": X[:, :1]}, r"training samples have shape \(2,\) but test samples \(1,\)"),
        ({"train_inputs": X.double()}, "train_inputs must be float32"),
        ({"train_inputs": X[:, 0]}, r"train_inputs must be float32 of shape \(samples, ...\)"),
        ({"train_targets": Y.int()}, r"train_targets must be int64 .* got torch.int32 \(6,\)"),
        (
            {"train_targets": X.repeat(1, 2)},
            r"or float32 of shape \(samples, 3\), got torch.float32 \(6, 4\)",
        ),
        ({"objective": Regression()}, "are class indices, but the objective 'regression' needs float32"),
        ({"outputs": 2, "train_targets": X}, "are floats, but classification needs int64"),
        ({"outputs": 2, "train_targets": X, "objective": MultiLabel()}, "must be 0 or 1"),
        ({"test_inputs": X.to("meta")}, "several devices: cpu, meta"),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data_set(**changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_counted_and_located(value: float) -> None:
    broken = X.clone()
    broken[3, 1] = broken[5, 0] = value
    with pytest.raises(
        ValueError, match="train_inputs hold NaN or infinite values in 2 of 6 samples, first in sample 3"
    ):
        data_set(train_inputs=broken)
    with pytest.raises(ValueError, match="test_targets hold NaN or infinite values in 2 of 6 samples"):
        data_set(outputs=2, train_targets=X, test_targets=broken, objective=Regression())


def test_large_finite_values_are_no_fault() -> None:
    large = torch.full((6, 2), 3e38)
    assert data_set(train_inputs=large).train_inputs is large


@pytest.mark.parametrize(
    ("targets", "outputs", "objective", "formed"),
    [
        (np.array([0, 2, 1, 0, 2, 1]), 3, Classification(), torch.int64),
        (np.array([[0], [2], [1], [0], [2], [1]], dtype=np.uint8), 3, Classification(), torch.int64),
        (np.array([True, False] * 3), 2, Classification(), torch.int64),
        (torch.eye(2).repeat(3, 1), 2, MultiLabel(), torch.float32),
        (np.eye(2, dtype=bool).repeat(3, 0), 2, MultiLabel(), torch.float32),
        # Hand-computed: column variances 0.25 and 4, mean 2.125.
        (np.array([[0.5, 2.0], [1.5, -2.0]] * 3), 2, Regression(Explained(variance=2.125)), torch.float32),
        (np.array([0.5, 1.5] * 3), 1, Regression(Explained(variance=0.25)), torch.float32),
    ],
)
def test_the_objective_is_inferred_from_the_targets(
    targets: np.ndarray, outputs: int, objective: Objective, formed: torch.dtype
) -> None:
    loaded = Arrays(X.numpy().astype(np.float64), targets, X, targets).load(CPU)
    assert (loaded.outputs, loaded.objective, loaded.train_targets.dtype) == (outputs, objective, formed)
    expected = torch.as_tensor(targets).reshape(loaded.train_targets.shape)
    assert torch.equal(loaded.train_targets, expected.to(formed))
    assert torch.equal(loaded.train_inputs, X)


def test_a_given_objective_wins() -> None:
    bits = torch.eye(2).repeat(3, 1)
    assert Arrays(X, bits, X, bits, objective=Regression()).load(CPU).objective == Regression()
    whole = Arrays(X, Y, X, Y, objective=Regression()).load(CPU)
    assert whole.train_targets.tolist() == [[0.0], [1.0], [2.0], [0.0], [1.0], [2.0]]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.arange(12).view(6, 2), "integer targets of shape .* can mean several things"),
        (torch.zeros(6, 2, 2), r"must have shape \(samples,\) or \(samples, outputs\), got \(6, 2, 2\)"),
        (torch.full((6, 2), 0.5), "training targets are all the same"),
        (Y - 1, "hold labels -1..1"),
        (Y[:0], "at least one training and one test sample, got 0 and 0"),
    ],
)
def test_targets_without_a_meaning_are_refused(targets: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arrays(X, targets, X, targets).load(CPU)


def test_a_torch_data_set_is_read_once_into_arrays() -> None:
    pairs = TensorDataset(X, Y)
    loaded = from_torch_dataset(pairs, pairs, name="pairs").load(CPU)
    assert (loaded.name, loaded.objective) == ("pairs", Classification())
    assert torch.equal(loaded.train_inputs, X)
    assert torch.equal(loaded.test_targets, Y)


class Endless(IterableDataset[torch.Tensor]):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return repeat(X)


class Pictures(torch.utils.data.Dataset[tuple[str, int]]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[str, int]:
        return "a picture", index


def test_torch_data_sets_that_cannot_be_read_are_refused() -> None:
    sound = TensorDataset(X, Y)
    with pytest.raises(ValueError, match=r"train data set \(Endless\) is empty or has no length"):
        from_torch_dataset(Endless(), sound)
    with pytest.raises(ValueError, match=r"test data set \(Pictures\) must be pairs .* need a transform"):
        from_torch_dataset(sound, Pictures())


def test_digits_are_split_by_class_and_always_alike() -> None:
    torch.manual_seed(0)
    first, second = Digits().load(CPU), Digits().load(CPU)
    assert first.input_shape == (1, 8, 8)
    assert len(first.train_inputs) + len(first.test_inputs) == 1797
    assert torch.equal(first.test_inputs, second.test_inputs)
    assert (float(first.train_inputs.min()), float(first.train_inputs.max())) == (0.0, 1.0)
    train, test = first.train_targets.bincount(), first.test_targets.bincount()
    assert torch.equal(test, (0.2 * (train + test)).round().long())
    assert not torch.equal(first.test_inputs, Digits(split_seed=1).load(CPU).test_inputs)
    assert isinstance(Digits(), DataSource)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"test_share={share}: expected a share .* between 0 and 1"):
        Digits(test_share=share)


def test_a_share_that_leaves_a_part_empty_is_refused() -> None:
    with pytest.raises(ValueError, match=r"test_share=0\.001 of 1797 samples leaves 1797 for training and 0 for"):
        Digits(test_share=0.001).load(CPU)


def test_labels_that_are_tested_but_never_taught_are_refused():
    inputs = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"labels \[7\] that no training sample has"):
        Arrays(inputs, torch.tensor([0, 1, 0, 1]), inputs, torch.tensor([0, 1, 7, 1])).load(torch.device("cpu"))
