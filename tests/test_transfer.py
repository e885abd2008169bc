"""The probe's closed form is brute-force leave-one-out ridge, and tells features that help from those that do not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.objective import Classification, Contract, MultiLabel, Regression
from lifelong.transfer import probe_error


def brute_force(features: Tensor, wanted: Tensor) -> float:
    """Ridge on all samples but one, as normal equations, judged on that one, for every one."""
    features, wanted = features.double(), wanted.double()
    ridge = 0.01 * float((features - features.mean(0)).square().sum(1).mean())
    error = 0.0
    for out in range(len(features)):
        rest = [i for i in range(len(features)) if i != out]
        x_mean, y_mean = features[rest].mean(0), wanted[rest].mean(0)
        x, y = features[rest] - x_mean, wanted[rest] - y_mean
        weights = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
        error += float(((features[out] - x_mean) @ weights + y_mean - wanted[out]).square().sum())
    return error / float((wanted - wanted.mean(0)).square().sum())


@pytest.mark.parametrize(("n", "f"), [(30, 5), (12, 40)])
def test_the_closed_form_is_brute_force_leave_one_out(n: int, f: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features = 3.0 * torch.randn(n, f, generator=generator) + 1.0
    real = features[:, :2] @ torch.randn(2, 3, generator=generator) + torch.randn(n, 3, generator=generator)
    classes = torch.randint(0, 4, (n,), generator=generator)
    regression = probe_error(features, real, Contract((f,), 3, Regression()))
    assert regression == pytest.approx(brute_force(features, real), rel=1e-6)
    classification = probe_error(features, classes, Contract((f,), 4, Classification()))
    assert classification == pytest.approx(brute_force(features, F.one_hot(classes, 4)), rel=1e-6)
    labels = (real > 0).float()
    assert probe_error(features, labels, Contract((f,), 3, MultiLabel())) == pytest.approx(
        brute_force(features, labels), rel=1e-6
    )


def test_images_are_probed_as_rows_and_single_targets_as_a_column() -> None:
    generator = torch.Generator().manual_seed(1)
    images, targets = torch.randn(20, 2, 3, 3, generator=generator), torch.randn(20, generator=generator)
    contract = Contract((2, 3, 3), 1, Regression())
    assert probe_error(images, targets, contract) == probe_error(images.flatten(1), targets[:, None], contract)


def test_the_unit_of_features_and_targets_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(2)
    features, targets = torch.randn(25, 6, generator=generator), torch.randn(25, 2, generator=generator)
    contract = Contract((6,), 2, Regression())
    plain = probe_error(features, targets, contract)
    assert probe_error(features * 1024 + 8.0, targets * 64 - 2.0, contract) == pytest.approx(plain, rel=1e-4)


def test_features_that_separate_the_classes_beat_random_ones() -> None:
    generator = torch.Generator().manual_seed(3)
    classes = torch.arange(60) % 3
    separable = F.one_hot(classes, 3) * 4.0 + 0.3 * torch.randn(60, 3, generator=generator)
    chance = torch.randn(60, 3, generator=generator)
    contract = Contract((3,), 3, Classification())
    assert probe_error(separable, classes, contract) < 0.1
    # No better than the mean; being judged on what was left out, chance cannot look like skill.
    assert 0.9 < probe_error(chance, classes, contract) < 1.5


def test_more_features_than_samples_do_not_pass_for_knowledge() -> None:
    generator = torch.Generator().manual_seed(4)
    features, targets = torch.randn(20, 500, generator=generator), torch.randn(20, 1, generator=generator)
    assert probe_error(features, targets, Contract((500,), 1, Regression())) > 0.9


def test_a_linear_target_is_no_error_and_a_dead_feature_no_help() -> None:
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(200, 4, generator=generator)
    contract = Contract((4,), 1, Regression())
    assert probe_error(features, features[:, :1], contract) < 1e-3
    assert probe_error(torch.full((200, 4), 2.0), features[:, :1], contract) == pytest.approx(1.0, abs=0.02)
