"""Fixed share and the opinion pool, against brute force over all sequences of experts, and torch's gradient."""

from __future__ import annotations

import copy
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from lifelong.tracking.combiner import Combiner
from lifelong.tracking.fixed_share import FixedShare
from lifelong.tracking.opinion_pool import OpinionPool


def opinions(rows: int, experts: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    given = draw.dirichlet(np.ones(classes), (rows, experts)).clip(0.01)
    return given / given.sum(-1, keepdims=True), draw.integers(classes, size=rows)


def losses(combiner: Combiner, given: np.ndarray, labels: np.ndarray) -> np.ndarray:
    combiner.begin(given.shape[1])
    found = []
    for row, label in zip(given, labels.tolist(), strict=True):
        found.append(-np.log(combiner.answer(row)[label]))
        combiner.learn(row, label)
    return np.array(found)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_fixed_share_is_the_bayesian_mixture_over_all_sequences_of_experts(share: float) -> None:
    given, labels = opinions(5, 3, 4)
    total = 0.0
    for path in product(range(3), repeat=5):
        chance = 1 / 3
        for before, after in pairwise(path):
            chance *= (1 - share) * (before == after) + share / 3
        total += chance * np.prod([given[t, k, labels[t]] for t, k in enumerate(path)])
    assert losses(FixedShare(share), given, labels).sum() == pytest.approx(-np.log(total), rel=1e-12)


def test_fixed_share_weights_by_hand() -> None:
    mixture = FixedShare(0.2)
    mixture.begin(2)
    mixture.learn(np.array([[0.9, 0.1], [0.3, 0.7]]), 0)
    # 0.9 : 0.3 is 0.75 : 0.25; four fifths of it and a tenth for each.
    np.testing.assert_allclose(mixture.weights, [0.7, 0.3])
    np.testing.assert_allclose(mixture.answer(np.array([[1.0, 0.0], [0.0, 1.0]])), [0.7, 0.3])


def test_fixed_share_keeps_its_bound_where_the_best_expert_changes_twice() -> None:
    rows, experts, share, changes = 600, 4, 0.01, 2
    given = np.full((rows, experts, 2), 0.5)
    best = np.repeat([0, 3, 0], 200)
    given[np.arange(rows), best] = [0.95, 0.05]
    given[np.arange(rows), (best + 1) % 4] = [0.05, 0.95]
    labels = np.zeros(rows, dtype=np.int64)
    bound = (
        (changes + 1) * np.log(experts) + changes * np.log(1 / share) + (rows - changes - 1) * np.log(1 / (1 - share))
    )
    regret = losses(FixedShare(share), given, labels).sum() + rows * np.log(0.95)
    assert 0.0 < regret <= bound
    # Without sharing, the way back takes as many rows as the way there.
    assert losses(FixedShare(0.0), given, labels).sum() + rows * np.log(0.95) > 10 * bound


def test_the_pool_s_step_is_the_gradient_of_its_log_loss() -> None:
    given, labels = opinions(6, 3, 5)
    pool = OpinionPool(rate=0.05)
    pool.begin(3)
    weights = torch.full((3,), 1 / 3, dtype=torch.float64, requires_grad=True)
    for row, label in zip(given, labels.tolist(), strict=True):
        logits = weights @ torch.from_numpy(np.log(row))
        np.testing.assert_allclose(pool.answer(row), logits.softmax(0).detach().numpy(), rtol=1e-12)
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(label))
        (slope,) = torch.autograd.grad(loss, weights)
        weights = (weights - 0.05 * slope).detach().requires_grad_()
        pool.learn(row, label)
        np.testing.assert_allclose(pool.weights, weights.detach().numpy(), rtol=1e-10)


def test_the_pool_multiplies_what_two_experts_know_apart_and_a_mixture_cannot() -> None:
    # One expert tells whether the class is among 0, 1 or 2, 3, the other whether it is even or odd, both rightly.
    labels = np.random.default_rng(0).integers(4, size=300)
    given = np.full((300, 2, 4), 0.05)
    given[np.arange(300), 0, labels] = given[np.arange(300), 0, labels ^ 1] = 0.45
    given[np.arange(300), 1, labels] = given[np.arange(300), 1, labels ^ 2] = 0.45
    assert losses(OpinionPool(0.05), given, labels)[-50:].mean() < 0.15
    assert losses(FixedShare(0.01), given, labels)[-50:].mean() > 0.7


@pytest.mark.parametrize("make", [FixedShare, OpinionPool])
def test_many_rows_are_answered_as_each_alone_and_a_restored_combiner_goes_on(make: type) -> None:
    given, labels = opinions(40, 3, 4)
    combiner = make()
    losses(combiner, given[:20], labels[:20])
    np.testing.assert_allclose(combiner.answer(given), [combiner.answer(row) for row in given])
    np.testing.assert_allclose(combiner.answer(given).sum(-1), 1.0)
    twin = make()
    twin.load_state_dict(copy.deepcopy(combiner.state_dict()))
    for row, label in zip(given[20:], labels[20:].tolist(), strict=True):
        combiner.learn(row, label)
        twin.learn(row, label)
    np.testing.assert_array_equal(combiner.weights, twin.weights)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="share must be"):
        FixedShare(1.0)
    with pytest.raises(ValueError, match="rate must be"):
        OpinionPool(0.0)
