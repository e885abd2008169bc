"""CKA and subspace overlap against what is known of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lifelong.evaluation.analysis.representations import (
    compare_features,
    linear_cka,
    principal_basis,
    subspace_overlap,
)
from lifelong.evaluation.analysis.similarity import similarity_of_tasks

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_does_not_see_turning_scaling_and_shifting(unbiased: bool) -> None:
    features = RANDOM.normal(size=(40, 6))
    turn, _ = np.linalg.qr(RANDOM.normal(size=(6, 6)))
    assert linear_cka(features, 3 * features @ turn + 5, unbiased) == pytest.approx(1.0)
    assert linear_cka(features, features @ np.diag([9, 1, 1, 1, 1, 1]), unbiased) < 0.95


def test_cka_equals_the_form_with_covariances() -> None:
    """||Y^T X||_F^2 / (||X^T X||_F ||Y^T Y||_F) of centred features."""
    x, y = RANDOM.normal(size=(30, 4)), RANDOM.normal(size=(30, 7))
    a, b = x - x.mean(0), y - y.mean(0)
    norm = np.linalg.norm
    assert linear_cka(x, y) == pytest.approx(norm(b.T @ a) ** 2 / (norm(a.T @ a) * norm(b.T @ b)))


def test_of_unrelated_features_the_biased_estimate_grows_with_their_number_and_the_unbiased_does_not() -> None:
    x, y = RANDOM.normal(size=(50, 400)), RANDOM.normal(size=(50, 400))
    assert linear_cka(x, y) > 0.8
    assert abs(linear_cka(x, y, unbiased=True)) < 0.1


def test_unbiased_hsic_is_the_mean_over_four_different_samples() -> None:
    """The definition of the U-statistic, by brute force over all quadruples (Song et al. 2012)."""
    from itertools import permutations

    x, y = RANDOM.normal(size=(6, 2)), RANDOM.normal(size=(6, 3))

    def brute(a, b):
        k, m = a @ a.T, b @ b.T
        terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(6), 4)]
        return np.mean(terms)

    a, b = x - x.mean(0), y - y.mean(0)
    assert linear_cka(x, y, unbiased=True) == pytest.approx(brute(a, b) / np.sqrt(brute(a, a) * brute(b, b)))


def test_cka_of_nothing() -> None:
    with pytest.raises(ValueError, match="do not vary"):
        linear_cka(np.ones((5, 2)), RANDOM.normal(size=(5, 2)))
    with pytest.raises(ValueError, match="the same samples, at least 4"):
        linear_cka(np.ones((3, 2)), np.ones((3, 2)), unbiased=True)


def test_overlap_of_subspaces() -> None:
    eye = np.eye(4)
    assert subspace_overlap(eye[:, :2], eye[:, :1]) == 1.0
    assert subspace_overlap(eye[:, :2], eye[:, 2:]) == 0.0
    assert subspace_overlap(eye[:, :2], eye[:, 1:3]) == 0.5
    turned = np.array([[np.cos(0.3)], [np.sin(0.3)], [0.0], [0.0]])
    assert subspace_overlap(eye[:, :1], turned) == pytest.approx(np.cos(0.3) ** 2)
    with pytest.raises(ValueError, match="of one space"):
        subspace_overlap(eye, np.eye(3))


def test_the_fewest_directions_that_hold_the_energy() -> None:
    features = np.diag([3.0, 2.0, 1.0])
    # Squares 9, 4, 1 of 14.
    assert principal_basis(features, 9 / 14).shape == (3, 1)
    assert principal_basis(features, 0.65).shape == (3, 2)
    assert principal_basis(features, 1.0).shape == (3, 3)
    with pytest.raises(ValueError, match="all zero"):
        principal_basis(np.zeros((3, 3)))


def test_networks_before_and_after() -> None:
    torch.manual_seed(0)
    before, inputs = torch.nn.Linear(5, 3), torch.randn(50, 5)
    after = torch.nn.Linear(5, 3)
    after.load_state_dict(before.state_dict())
    assert compare_features(before, after, inputs) == (pytest.approx(1.0), pytest.approx(1.0))
    torch.nn.init.normal_(after.weight)
    assert compare_features(before, after, inputs)[0] < 0.95


def task(name: str, inputs: np.ndarray, targets: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(name=name, test_inputs=torch.tensor(inputs), test_targets=torch.tensor(targets))


def test_tasks_that_are_alike_in_inputs_or_in_what_classes_look_like() -> None:
    targets = np.arange(60) % 2
    inputs = np.zeros((60, 6))
    inputs[targets == 0, :3] = [1.0, 2.0, 3.0]
    inputs[targets == 1, :3] = [3.0, 1.0, 0.0]
    moved = np.roll(inputs, 3, axis=1)
    swapped = task("swapped", inputs, 1 - targets)
    other = task("wide", np.ones((60, 9)), targets)
    tasks = [task("A", inputs, targets), task("moved", moved, targets), swapped, other]
    found = similarity_of_tasks(tasks, "subspace")
    assert found.of("A", "moved") == pytest.approx(0.0)
    assert found.of("A", "swapped") == pytest.approx(1.0)
    assert np.isnan(found.of("A", "wide"))
    means = similarity_of_tasks(tasks, "means")
    assert means.of("A", "A") == 1.0
    assert means.of("A", "swapped") == pytest.approx(np.corrcoef(inputs[0], inputs[1])[0, 1])
    assert means.of("A", "moved") < 0
    assert means.of("A", "moved") == means.of("moved", "A")
