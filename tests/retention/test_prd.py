"""Prototype-sample relation distillation, against numpy and against its own ablation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from retention_rigs import (
    ADAM,
    SMALL,
    assert_goes_back,
    assert_resumes,
    by_hand,
    gained,
    lived,
    moved_apart,
    split_digits,
    train,
)  # fmt: skip
from toys import batches

from lifelong.assembly import Assembly
from lifelong.evaluation.matrix import bwt
from lifelong.experience import Batch
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.objective import Classification, Contract, Regression
from lifelong.optimizer import Optimizer
from lifelong.retention.prd import UNMET, Prd, Prototypes, _Keeper, contrast
from lifelong.retention.retained import Retained
from lifelong.trail import Trail

Numbers = NDArray[np.float64]


def keeper(retained: Retained) -> _Keeper:
    (only,) = retained.keepers
    assert isinstance(only, _Keeper)
    return only


def unit(values: Numbers) -> Numbers:
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def contrasted(values: Numbers, targets: Numbers, temperature: float) -> float:
    """Khosla et al. 2020, eq. 2, sample by sample."""
    likeness, anchors = np.exp(unit(values) @ unit(values).T / temperature), []
    for i in range(len(values)):
        others = [a for a in range(len(values)) if a != i]
        views = [a for a in others if targets[a] == targets[i]]
        if views:
            anchors.append(-np.mean([np.log(likeness[i, p] / likeness[i, others].sum()) for p in views]))
    return float(np.mean(anchors))


def related(old: Numbers, then: Numbers, now: Numbers, prototypes: Numbers, softness: float) -> float:
    """The mean over prototypes of the divergence of their chances over the samples."""
    terms = []
    for before, after in zip(unit(old), unit(prototypes), strict=True):
        wanted, said = np.exp(then @ before / softness), np.exp(now @ after / softness)
        wanted, said = wanted / wanted.sum(), said / said.sum()
        terms.append(np.sum(wanted * np.log(wanted / said)))
    return float(np.mean(terms))


def test_the_contrast_is_that_of_the_formula() -> None:
    values = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 0, 2, 1, 0, 3])
    wanted = contrasted(values.numpy(), targets.numpy(), 0.5)
    assert contrast(values, targets, 0.5).item() == pytest.approx(wanted, rel=1e-12)
    alone = values[:3].clone().requires_grad_()
    lonely = contrast(alone, torch.tensor([0, 1, 2]), 0.5)
    lonely.backward()
    assert lonely.item() == 0.0
    assert alone.grad is not None
    assert float(alone.grad.abs().max()) == 0.0


@pytest.mark.parametrize("space", ["outputs", "features"])
def test_the_loss_is_that_of_the_formulas(space: str) -> None:
    settings = Prd(alpha=2.0, beta=3.0, temperature=0.5, softness=0.7, lr=0.3, space=space)  # type: ignore[arg-type]
    module, retained, optimizer = by_hand(0, [settings], (16, 8, 6))
    train(module, retained, optimizer, batches(0, 6))
    retained.consolidate(batches(0, 2))
    then = module[:2](batches(1, 1)[0].inputs).detach()
    old = keeper(retained).groups[6, None].values.detach().clone()
    train(module, retained, optimizer, batches(2, 4))
    (batch,) = batches(1, 1)
    prototypes = keeper(retained).groups[6, None].values.detach().clone()
    features, outputs = module[:2](batch.inputs), module(batch.inputs)
    found = retained.loss(batch, outputs).item()
    then_n, now, kept, old_n = (t.detach().double().numpy() for t in (then, features, prototypes, old))
    targets = batch.targets.numpy()
    space_n = now if space == "features" else outputs.detach().double().numpy()
    near = (unit(now) * unit(kept)[targets]).sum(1)
    wanted = (
        contrasted(space_n, targets, 0.5) + 2.0 * (1.0 - near).mean() + 3.0 * related(old_n, then_n, now, kept, 0.7)
    )
    assert related(old_n, then_n, now, kept, 0.7) > 1e-3
    assert found == pytest.approx(wanted, rel=1e-4)


def test_a_prototype_begins_as_its_classs_mean_and_no_other_moves_for_it() -> None:
    one = Prototypes(torch.zeros(3, 2), torch.zeros(3, dtype=torch.bool))
    one.welcome(torch.tensor([[3.0, 4.0], [0.0, 2.0], [2.0, 0.0]]), torch.tensor([2, 0, 0]))
    assert one.met.tolist() == [True, False, True]
    torch.testing.assert_close(one.values, torch.tensor([[0.5**0.5, 0.5**0.5], [0.0, 0.0], [0.6, 0.8]]))
    one.welcome(torch.tensor([[1.0, 0.0]]), torch.tensor([2]))
    torch.testing.assert_close(one.values[2], torch.tensor([0.6, 0.8]))

    module, retained, optimizer = by_hand(0, [Prd()], (16, 8, 6))
    train(module, retained, optimizer, batches(0, 4))
    before = keeper(retained).groups[6, None].values.detach().clone()
    (batch,) = batches(1, 1)
    batch = Batch(batch.inputs, batch.targets % 2, batch.contract)
    train(module, retained, optimizer, [batch])
    moved = (keeper(retained).groups[6, None].values.detach() - before).abs().amax(1) > 0
    assert moved.tolist() == [True, True, False, False, False, False]


def test_answers_are_cosines_to_the_prototypes_that_were_met() -> None:
    module, retained, optimizer = by_hand(0, [Prd()], (16, 8, 6))
    (batch,) = batches(0, 1)
    contract = Contract((16,), 6, Classification(), mask=(0, 1, 5))
    assert retained.answer(batch.inputs, contract) is None
    train(module, retained, optimizer, [Batch(batch.inputs, batch.targets % 2, batch.contract)])
    found = retained.answer(batch.inputs, batch.contract)
    assert found is not None
    features = module[:2](batch.inputs).detach().double().numpy()
    wanted = unit(features) @ unit(keeper(retained).groups[6, None].values.detach()[:2].double().numpy()).T
    np.testing.assert_allclose(found[:, :2].numpy(), wanted, rtol=1e-4, atol=1e-6)
    assert bool((found[:, 2:] == UNMET).all())
    masked = retained.answer(batch.inputs, contract)
    assert masked is not None
    assert torch.equal(masked, contract.restrict(found))


def test_tasks_without_classes_and_impossible_settings_are_refused() -> None:
    _, retained, _ = by_hand(0, [Prd()], (4, 2))
    numbers = Batch(torch.zeros(1, 4), torch.zeros(1, 2), Contract((4,), 2, Regression()))
    with pytest.raises(ValueError, match=r"asks for regression. Use it for classification"):
        retained.loss(numbers, torch.zeros(1, 2))
    for wrong in ({"alpha": 0.0}, {"temperature": 0.0}, {"beta": -1.0}, {"lr": 0.0}):
        with pytest.raises(ValueError, match="must be positive and beta at least 0"):
            Prd(**wrong)
    with pytest.raises(ValueError, match="space must be one of outputs, features"):
        Prd(space="inputs")  # type: ignore[arg-type]


def test_what_it_keeps_is_counted() -> None:
    module, retained, optimizer = by_hand(0, [Prd()], (16, 8, 6))
    train(module, retained, optimizer, batches(0, 1))
    mine, network = 6 * 8 * 4 + 6, 4 * (16 * 8 + 8 + 8 * 6 + 6)
    assert (retained.stored().samples, retained.stored().bytes) == (0, mine)
    retained.consolidate(batches(0, 1))
    assert retained.stored().bytes == 2 * mine + network


def test_all_goes_on_where_it_was_and_back_to_where_it_was() -> None:
    assert min(moved_apart(Prd(), split_digits(0, epochs=1))) > 1e-3
    assert_resumes(Prd(), split_digits(0, epochs=1))
    assert_goes_back(Prd())


def test_taken_back_to_before_its_first_step_it_has_met_no_class() -> None:
    expert, trail = Expert(0, Foundation(Assembly(SMALL, 0, "cpu")), ADAM, retention=(Prd(),)), Trail(every=4)
    for batch in batches(0, 3):
        trail.note(expert, batch)
        expert.update(batch)
    trail.rewind(expert, 3)
    assert expert.retained is not None
    assert not bool(keeper(expert.retained).groups[6, None].met.any())
    (batch,) = batches(1, 1)
    assert bool(torch.isfinite(expert.update(batch).loss))
    said = expert.reply(batch.inputs, batch.contract)
    assert bool((said.argmax(1)[:, None] == batch.targets.unique()).any(1).all())


@pytest.mark.parametrize("seeds", [(0,), pytest.param((0, 1, 2), marks=pytest.mark.slow)], ids=len)
def test_with_a_head_for_each_task_it_forgets_less_than_fine_tuning(seeds: tuple[int, ...]) -> None:
    quick, found = Optimizer(lr=3e-3), []
    for seed in seeds:
        stream = split_digits(seed, epochs=10)
        ours = lived(stream, seed, Prd(), optimizer=quick)
        found.append(gained(ours, lived(stream, seed, optimizer=quick)))
        assert (bwt(ours) or 0.0) > -0.06
    # In the mean: heads of their own keep fine-tuning from forgetting anything on some seeds.
    better, higher = np.mean(found, axis=0)
    assert better > 0.02
    assert higher > 0.01


def test_features_that_are_drawn_together_are_kept_by_their_relations() -> None:
    stream = split_digits(0)
    kept, lost = (lived(stream, 0, Prd(beta=beta, space="features")) for beta in (4.0, 0.0))
    assert gained(kept, lost)[0] > 0.05


def test_with_one_head_and_no_labels_it_knows_more_classes_at_the_end() -> None:
    # Backward transfer says nothing here: fine-tuning hardly learns new classes in so few steps, and has less to lose.
    stream = split_digits(0, "never", "shared")
    assert gained(lived(stream, 0, Prd(beta=20.0, space="features")), lived(stream, 0))[1] > 0.15
