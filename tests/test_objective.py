"""Losses and metrics against values worked out by hand, and contracts that refuse what makes no sense."""

from __future__ import annotations

import math

import pytest
import torch

from lifelong.experience import Batch
from lifelong.objective import (
    AbsoluteError,
    Accuracy,
    Classification,
    Contract,
    Explained,
    LabelAccuracy,
    Metric,
    MultiLabel,
    Objective,
    Regression,
)

RESULTS = torch.tensor([[1.0, 3.0, 2.0], [0.0, -1.0, -2.0]])


def test_classification_by_hand() -> None:
    outputs = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]])
    # Softmax gives the targets 3/4 and 1/5.
    loss = Classification().loss(outputs, torch.tensor([1, 1]))
    assert loss.shape == ()
    assert float(loss) == pytest.approx(-(math.log(0.75) + math.log(0.2)) / 2, rel=1e-6)
    assert Accuracy().per_sample(outputs, torch.tensor([1, 1])).tolist() == [1.0, 0.0]


def test_multi_label_by_hand() -> None:
    outputs, targets = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[1.0, 0.0]])
    # Sigmoid gives 1/2 and 3/4: the first is told with 1/2, the second with 1/4.
    assert float(MultiLabel().loss(outputs, targets)) == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)
    judged = LabelAccuracy().per_sample(RESULTS, torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]))
    assert judged.tolist() == pytest.approx([2 / 3, 2 / 3])


def test_regression_by_hand() -> None:
    targets = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    # Squared errors (0, 4, 1) and (0, 4, 4), absolute ones (0, 2, 1) and (0, 2, 2).
    assert float(Regression().loss(RESULTS, targets)) == pytest.approx(13 / 6)
    assert AbsoluteError().per_sample(RESULTS, targets).tolist() == pytest.approx([1.0, 4 / 3])
    assert Explained(variance=2.0).per_sample(RESULTS, targets).tolist() == pytest.approx([1 - 5 / 6, 1 - 8 / 6])


@pytest.mark.parametrize("columns", [1, 3])
def test_the_mean_of_explained_is_r_squared(columns: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = 3.0 * torch.randn(200, columns, generator=generator) + 7.0
    outputs = targets + torch.randn(200, columns, generator=generator)
    about_mean = (targets - targets.mean(0)).square()
    r_squared = 1.0 - (outputs - targets).square().sum() / about_mean.sum()
    metric = Explained(variance=float(about_mean.mean()))
    assert float(metric.per_sample(outputs, targets).mean()) == pytest.approx(float(r_squared), rel=1e-5)
    constant = targets.mean(0).expand_as(targets)
    assert float(metric.per_sample(constant, targets).mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(metric.per_sample(targets, targets).mean()) == 1.0


@pytest.mark.parametrize(
    ("metric", "targets"),
    [
        (Accuracy(), torch.tensor([1, 0])),
        (LabelAccuracy(), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])),
        (Explained(), torch.zeros(2, 3)),
        (AbsoluteError(), torch.zeros(2, 3)),
    ],
)
def test_a_stack_of_outputs_is_judged_as_each_alone_and_within_bounds(metric: Metric, targets: torch.Tensor) -> None:
    stack = torch.stack([RESULTS, -RESULTS, RESULTS * 2])
    together = metric.per_sample(stack, targets.expand(3, *targets.shape))
    alone = torch.stack([metric.per_sample(outputs, targets) for outputs in stack])
    assert together.shape == (3, 2)
    assert torch.equal(together, alone)
    assert bool(((together >= metric.low) & (together <= metric.high)).all())
    assert isinstance(metric, Metric)


@pytest.mark.parametrize(
    ("objective", "metric", "higher"),
    [
        (Classification(), "accuracy", True),
        (MultiLabel(), "label_accuracy", True),
        (Regression(), "explained_variance", True),
        (Regression(metric=AbsoluteError()), "absolute_error", False),
    ],
)
def test_objectives_carry_the_metric_that_they_are_judged_by(objective: Objective, metric: str, higher: bool) -> None:
    assert isinstance(objective, Objective)
    assert (objective.metric.name, objective.metric.higher_is_better) == (metric, higher)


def test_tasks_that_ask_for_the_same_have_equal_contracts() -> None:
    one, other = (Contract((4,), 2, Regression(Explained(2.0)), mask=(1,)) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != Contract((4,), 2, Regression(Explained(3.0)), mask=(1,))


def test_a_mask_leaves_the_allowed_outputs_and_makes_the_others_the_lowest() -> None:
    contract = Contract((4,), 3, Classification(), mask=(0, 2))
    restricted = contract.restrict(RESULTS)
    lowest = torch.finfo(torch.float32).min
    assert restricted.tolist() == [[1.0, lowest, 2.0], [0.0, lowest, -2.0]]
    assert restricted.argmax(1).tolist() == [2, 0]
    # What is forbidden takes part in no loss: among the allowed alone, softmax gives the targets these shares.
    wanted = -(math.log(1 / (1 + math.e)) + math.log(1 / (1 + math.exp(-2)))) / 2
    assert float(Classification().loss(restricted, torch.tensor([0, 0]))) == pytest.approx(wanted, rel=1e-6)


def test_without_a_mask_outputs_pass_as_they_are() -> None:
    assert Contract((4,), 3, Classification()).restrict(RESULTS) is RESULTS


def test_a_mask_works_in_half_precision_too() -> None:
    restricted = Contract((4,), 3, Classification(), mask=(1,)).restrict(RESULTS.half())
    assert restricted.dtype == torch.float16
    assert bool(torch.isfinite(restricted).all())


@pytest.mark.parametrize("mask", [(3,), (-1,), (0, 1, 7)])
def test_a_mask_outside_the_outputs_is_refused(mask: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.2"):
        Contract((4,), 3, Classification(), mask=mask)


def test_a_contract_without_outputs_is_refused() -> None:
    with pytest.raises(ValueError, match="outputs=0"):
        Contract((4,), 0, Classification())


@pytest.mark.parametrize("objective", [Regression(), MultiLabel(), Regression(AbsoluteError())], ids=repr)
def test_targets_that_would_be_spread_over_the_outputs_are_refused(objective: Objective) -> None:
    outputs, flat = torch.tensor([[1.0], [2.0], [-1.0]]), torch.tensor([0.0, 1.0, 1.0])
    shapes = r"outputs \(3, 1\) and targets \(3,\)\. Write targets\[:, None\]\."
    with pytest.raises(ValueError, match=shapes):
        objective.loss(outputs, flat)
    with pytest.raises(ValueError, match=shapes):
        objective.metric.per_sample(outputs, flat)
    for wrong in (flat[None], flat[:, None].expand(3, 2), flat[:2, None], torch.tensor(0.0)):
        with pytest.raises(ValueError, match="must have the shape of the outputs"):
            objective.loss(outputs, wrong)
        with pytest.raises(ValueError, match="must have the shape of the outputs"):
            objective.metric.per_sample(outputs, wrong)
    # The cure is one: each sample is judged by its own target.
    alone = [objective.loss(outputs[i : i + 1], flat[i : i + 1, None]) for i in range(3)]
    assert float(objective.loss(outputs, flat[:, None])) == pytest.approx(float(torch.stack(alone).mean()))


@pytest.mark.parametrize(("inputs", "targets"), [(0, 0), (3, 2), (0, 2), (2, 0)])
def test_a_batch_has_samples_and_a_target_for_each(inputs: int, targets: int) -> None:
    contract = Contract((4,), 2, Classification())
    with pytest.raises(ValueError, match=f"at least one sample .* got {inputs} inputs and {targets} targets"):
        Batch(torch.zeros(inputs, 4), torch.zeros(targets, dtype=torch.int64), contract)
