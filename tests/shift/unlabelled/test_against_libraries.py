"""Each measure against the full, slow version of itself, or a library's."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor
from unlabelled_worlds import batches, draw, normal

from lifelong.shift.unlabelled.chance import Chance
from lifelong.shift.unlabelled.classifier import ClassifierTwoSample
from lifelong.shift.unlabelled.energy import Energy
from lifelong.shift.unlabelled.entropy import Entropy, entropy
from lifelong.shift.unlabelled.kolmogorov_smirnov import KolmogorovSmirnov, corrected, log_p
from lifelong.shift.unlabelled.measure import Measure
from lifelong.shift.unlabelled.mmd import Mmd
from lifelong.shift.unlabelled.reconstruction import Reconstruction

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def shown(measure: Measure, seed: int = 0, width: int = 6, size: int = 24) -> tuple[list[Tensor], Tensor]:
    """The twenty batches of a grace, and all their rows."""
    first = batches(seed, 20, size, width)
    assert [measure.observe(rows) for rows in first] == [None] * 20
    return first, torch.cat(first)


def standardised(reference: Tensor, rows: Tensor) -> Rows:
    kept = reference.double().numpy()
    found: Rows = np.clip((rows.double().numpy() - kept.mean(0)) / kept.std(0), -3.0, 3.0)
    return found


def test_mmd_is_that_of_the_full_gaussian_kernel() -> None:
    measure = Mmd(frequencies=10_000)
    _, reference = shown(measure)
    kept = standardised(reference, reference)
    apart = np.sqrt(((kept[:, None] - kept[None]) ** 2).sum(2))
    middle = np.median(apart[np.triu_indices(len(kept), 1)])

    def kernel(a: Rows, b: Rows) -> Rows:
        found: Rows = np.exp(-((a[:, None] - b[None]) ** 2).sum(2) / (2 * middle**2))
        return found

    chance = Chance.of(torch.from_numpy(kernel(kept, kept)), len(kept))
    for count, offset in ((24, 0.0), (24, 0.3), (7, 1.0), (1, 0.0), (200, 0.1)):
        rows = normal(5, count, 6) + offset
        new = standardised(reference, rows)
        distance = kernel(new, new).mean() - 2 * kernel(new, kept).mean() + kernel(kept, kept).mean()
        expected = float(chance.standardise(torch.tensor(distance), count))
        assert measure.observe(rows) == pytest.approx(expected, rel=0.03, abs=0.08)


def test_mmd_s_bandwidth_survives_rows_that_are_mostly_the_same() -> None:
    measure = Mmd()
    for rows in batches(0, 20):
        rows[:26] = 0.0
        measure.observe(rows)
    rows = normal(1, 32)
    rows[:26] = 0.0
    usual, other = measure.observe(rows), measure.observe(normal(2, 32))
    assert usual is not None
    assert other is not None
    assert usual < 5.0 < other


def test_energy_is_the_mean_of_all_pairwise_distances() -> None:
    measure = Energy()
    _, reference = shown(measure)
    kept = standardised(reference, reference)

    def apart(a: Rows, b: Rows) -> Rows:
        found: Rows = np.abs(a[:, None] - b[None]).mean(2)
        return found

    chance = Chance.of(torch.from_numpy(-apart(kept, kept)), len(kept))
    for count, offset in ((24, 0.0), (24, 0.3), (7, 1.0), (1, 0.0), (200, 0.1)):
        rows = normal(5, count, 6) + offset
        new = standardised(reference, rows)
        distance = 2 * apart(new, kept).mean() - apart(new, new).mean() - apart(kept, kept).mean()
        expected = float(chance.standardise(torch.tensor(distance), count))
        assert measure.observe(rows) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_energy_of_one_feature_is_scipy_s() -> None:
    stats = pytest.importorskip("scipy.stats")
    measure = Energy()
    _, reference = shown(measure, width=1)
    kept, rows = standardised(reference, reference), normal(5, 40, 1) * 1.5
    distance = stats.energy_distance(standardised(reference, rows)[:, 0], kept[:, 0]) ** 2
    chance = Chance.of(torch.from_numpy(-np.abs(kept - kept.T)), len(kept))
    expected = float(chance.standardise(torch.tensor(distance), 40))
    assert measure.observe(rows) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("ties", [False, True])
def test_kolmogorov_smirnov_has_scipy_s_statistic_and_series(ties: bool) -> None:
    stats = pytest.importorskip("scipy.stats")
    measure = KolmogorovSmirnov()
    first = [rows.round() if ties else rows for rows in batches(0, 20, 24, 6)]
    for rows in first:
        assert measure.observe(rows) is None
    reference = torch.cat(first).numpy()
    for count, offset in ((24, 0.0), (24, 0.5), (7, 1.0), (200, 0.2)):
        rows = normal(5, count, 6) + offset
        rows = rows.round() if ties else rows
        gaps = [stats.ks_2samp(rows.numpy()[:, j], reference[:, j]).statistic for j in range(6)]
        size = math.sqrt(count * len(reference) / (count + len(reference)))
        p = stats.kstwobign.sf((size + 0.12 + 0.11 / size) * max(gaps))
        assert measure.observe(rows) == pytest.approx(-math.log10(1 - (1 - p) ** 6), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("count", "kept"), [(32, 512), (128, 512), (20, 40)])
def test_the_p_value_is_close_to_the_exact_one(count: int, kept: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(0)
    for offset in (0.0, 0.2, 0.5):
        exact = stats.ks_2samp(generator.normal(offset, 1, count), generator.normal(0, 1, kept), method="exact")
        assert log_p(exact.statistic, count, kept) == pytest.approx(math.log(exact.pvalue), rel=0.15, abs=0.1)


def test_p_values_that_underflow_are_still_told_apart() -> None:
    assert log_p(1.0, 5000, 5000) < log_p(0.99, 5000, 5000) < -2000
    assert corrected(-5000.0, 10) == pytest.approx((5000.0 - math.log(10)) / math.log(10))
    # Just where one formula takes over from the other.
    assert corrected(math.log(1.01e-12), 32) == pytest.approx(corrected(math.log(0.99e-12), 32), abs=0.01)
    assert corrected(0.0, 32) == 0.0
    assert log_p(0.0, 32, 512) == 0.0


def test_the_classifier_is_sklearn_s_discriminant_judged_by_its_roc_area() -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import roc_auc_score

    measure = ClassifierTwoSample(every=4, ridge=0.25)
    _, reference = shown(measure)
    latest = [normal(seed, 24, 6) * 1.2 + 0.2 for seed in range(30, 34)]
    # Until it has been fitted it cannot rank.
    assert [measure.observe(rows) for rows in latest] == [0.0] * 4
    kept, new = standardised(reference, reference), standardised(reference, torch.cat(latest))
    learned, judged = kept[0::2], kept[1::2]
    # Shrinkage s weighs the covariance by 1 - s and its mean variance by s: a ridge of s / (1 - s).
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2)
    peer.fit(np.concatenate([learned, new]), [0] * len(learned) + [1] * len(new))
    for seed, count in ((50, 24), (51, 9), (52, 60)):
        rows = normal(seed, count, 6) * 1.2 + 0.2
        scores = peer.decision_function(np.concatenate([judged, standardised(reference, rows)]))
        area = roc_auc_score([0] * len(judged) + [1] * count, scores)
        deviation = math.sqrt((count + len(judged) + 1) / (12 * count * len(judged)))
        assert measure.observe(rows) == pytest.approx((area - 0.5) / deviation, abs=0.02)


def test_the_classifier_never_judges_what_it_was_fitted_to() -> None:
    # With far more directions than rows a discriminant separates any rows that it was fitted to.
    found = []
    for seed in range(10):
        measure = ClassifierTwoSample(window=32, directions=200, ridge=1e-3)
        found += [measure.observe(rows) for rows in batches(seed, 60, width=200)][25:]
    assert np.mean([value for value in found if value is not None]) == pytest.approx(0.0, abs=0.3)


def test_entropy_is_torch_s_and_in_standard_errors() -> None:
    measure = Entropy(memory=None)
    _, reference = shown(measure)
    peer = torch.distributions.Categorical(logits=reference).entropy().double()
    torch.testing.assert_close(entropy(reference).double(), peer, rtol=1e-5, atol=1e-6)
    rows = normal(5, 30, 6) * 0.5
    error = float(peer.std()) * math.sqrt(1 / 30 + 1 / len(reference))
    expected = float(torch.distributions.Categorical(logits=rows).entropy().mean() - peer.mean()) / error
    assert measure.observe(rows) == pytest.approx(expected, rel=1e-4)
    assert expected > 3.0
    # Sure answers, however extreme their logits, have none.
    assert float(entropy(torch.tensor([[1e30, 0.0, -1e30]]))) == 0.0


def test_entropy_of_one_logit_is_that_of_two_classes() -> None:
    rows = normal(0, 50, 1)
    torch.testing.assert_close(entropy(rows), torch.distributions.Bernoulli(logits=rows[:, 0]).entropy())


def test_entropy_follows_a_model_that_learns_and_sees_the_shift_all_the_same() -> None:
    measure, frozen, found = Entropy(), Entropy(memory=None), []
    for step, rows in enumerate(batches(0, 400)):
        # Logits that grow: answers become surer, as in training.
        grown = rows * (0.2 + 4.0 * (1.0 - math.exp(-step / 60)))
        found.append(measure.observe(grown))
        frozen.observe(grown)
    late = [value for value in found[-100:] if value is not None]
    assert -2.0 < np.mean(late) < 1.0
    unsure = [rows * 1.5 for rows in batches(1, 5)]
    assert min(measure.observe(rows) or 0.0 for rows in unsure) > 4.0
    assert max(frozen.observe(rows) or 0.0 for rows in unsure) < 0.0


def test_reconstruction_leaves_what_sklearn_s_pca_leaves() -> None:
    from sklearn.decomposition import PCA

    # Each row and its mirror image, in both halves of the reference: all means are zero.
    half = torch.randn(200, 3, generator=draw(0)) @ torch.randn(3, 12, generator=draw(1))
    half = half + 0.3 * torch.randn(200, 12, generator=draw(2))
    even, odd = torch.cat([half[:100], -half[:100]]), torch.cat([half[100:], -half[100:]])
    reference = torch.stack([even, odd], dim=1).flatten(0, 1)
    measure = Reconstruction(share=0.85)
    assert [measure.observe(rows) for rows in reference.split(20)] == [None] * 20
    kept = standardised(reference, reference)
    peer = PCA(n_components=0.85, svd_solver="full").fit(kept[0::2])
    assert 1 < peer.n_components_ < 6

    def errors(rows: Rows) -> Rows:
        found: Rows = ((rows - peer.inverse_transform(peer.transform(rows))) ** 2).sum(1)
        return found

    normal_errors = errors(kept[1::2])
    for count, scale in ((20, 1.0), (1, 2.0), (100, 1.1)):
        rows = torch.randn(count, 12, generator=draw(count)) * scale
        deviation = normal_errors.std(ddof=1) * math.sqrt(1 / count + 1 / len(normal_errors))
        expected = (errors(standardised(reference, rows)).mean() - normal_errors.mean()) / deviation
        assert measure.observe(rows) == pytest.approx(expected, rel=1e-3)


def test_reconstruction_leaves_a_direction_unexplained() -> None:
    for width in (1, 2, 3):
        measure = Reconstruction(share=1.0)
        shown(measure, width=width)
        usual, other = measure.observe(normal(7, 32, width)), measure.observe(normal(8, 32, width) * 4)
        assert usual is not None
        assert other is not None
        assert abs(usual) < 4.0 < other
