"""Logit swap self-distillation, against distributions worked out by hand."""

from __future__ import annotations

from math import log

import pytest
import torch
from retention_rigs import assert_resumes, by_hand, fine_tuned, gained, lived, moved_apart, permuted_digits
from torch import nn
from toys import batches

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract, Regression
from lifelong.retention.logit_swap import LogitSwap, swapped
from lifelong.retention.model import Model
from lifelong.retention.retained import Retained


def test_the_likeliest_and_the_true_class_change_places() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [5.0, 0.0, -1.0]])
    found = swapped(logits, torch.tensor([0, 1, 2]))
    assert found.tolist() == [[3.0, 1.0, 2.0], [1.0, 3.0, 2.0], [-1.0, 0.0, 5.0]]


def test_the_loss_is_the_divergence_from_the_swapped_answers_of_then() -> None:
    module = nn.Linear(1, 3)
    with torch.no_grad():
        module.weight.zero_()
        module.bias.copy_(torch.tensor([log(1.0), log(2.0), log(5.0)]))
    contract = Contract((1,), 3, Classification())
    batch = Batch(torch.zeros(2, 1), torch.tensor([0, 2]), contract)
    retained = Retained(Model(module), [LogitSwap(weight=0.25)])
    plain = (log(8.0 / 1.0) + log(8.0 / 5.0)) / 2
    assert retained.loss(batch, module(batch.inputs)).item() == pytest.approx(plain)
    retained.consolidate([batch])
    with torch.no_grad():
        module.bias.zero_()
    # The chances of then are 1/8, 2/8, 5/8; for class 0 they become 5/8, 2/8, 1/8. Now all are 1/3.
    divergence = sum(p * log(p * 3.0) for p in (1 / 8, 2 / 8, 5 / 8))
    wanted = 0.25 * divergence + 0.75 * log(3.0)
    assert retained.loss(batch, module(batch.inputs)).item() == pytest.approx(wanted, rel=1e-5)


def test_what_a_mask_forbids_has_no_part_in_it() -> None:
    module = nn.Linear(2, 4)
    free, masked = (Contract((2,), 4, Classification(), mask=mask) for mask in (None, (1, 3)))
    inputs, targets = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 3, 3, 1, 1])
    model = Model(module, extras=lambda contract, task: ())
    retained = Retained(model, [LogitSwap(weight=1.0)])
    retained.consolidate([Batch(inputs, targets, free)])
    with torch.no_grad():
        module.weight.mul_(-1.0)
    outputs = masked.restrict(module(inputs))
    found = retained.loss(Batch(inputs, targets, masked), outputs)
    assert torch.isfinite(found)
    found.backward()
    assert module.weight.grad is not None
    assert module.weight.grad[[0, 2]].abs().max() == 0.0
    assert module.weight.grad[[1, 3]].abs().min() > 0.0


def test_tasks_without_classes_and_impossible_weights_are_refused() -> None:
    _, retained, _ = by_hand(0, [LogitSwap()], (4, 2))
    numbers = Batch(torch.zeros(1, 4), torch.zeros(1, 2), Contract((4,), 2, Regression()))
    with pytest.raises(ValueError, match=r"asks for regression. Use it for classification"):
        retained.loss(numbers, torch.zeros(1, 2))
    for weight in (0.0, 1.5):
        with pytest.raises(ValueError, match="weight must be in"):
            LogitSwap(weight)


def test_one_copy_of_the_network_is_kept() -> None:
    _, retained, _ = by_hand(0, [LogitSwap()], (16, 6))
    assert retained.stored().bytes == 0
    retained.consolidate(batches(0, 2))
    assert (retained.stored().samples, retained.stored().bytes) == (0, 4 * (16 * 6 + 6))


def test_nothing_changes_before_a_task_has_ended_and_all_goes_on_where_it_was() -> None:
    first, second = moved_apart(LogitSwap(), permuted_digits(0, epochs=1))
    assert first == 0.0
    assert second > 1e-3
    assert_resumes(LogitSwap(), permuted_digits(0, epochs=1))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_it_forgets_less_than_fine_tuning(seed: int) -> None:
    better, higher = gained(lived(permuted_digits(seed), seed, LogitSwap()), fine_tuned(seed))
    assert better > 0.03
    assert higher > 0.0


def test_by_itself_it_keeps_more_at_the_price_of_what_the_new_tasks_learn() -> None:
    better, higher = gained(lived(permuted_digits(0), 0, LogitSwap(1.0)), fine_tuned(0))
    assert better > 0.1
    assert higher < 0.0
