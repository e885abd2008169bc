"""Mahalanobis routing is linear discriminant analysis in a few directions, with a covariance that all experts share."""

from __future__ import annotations

import pytest
import torch
from asking import describe, route, voice
from torch import Tensor

from lifelong.routing.mahalanobis import Mahalanobis, oracle_shrunk
from lifelong.routing.projection import directions, projected


def rows(seed: int, n: int, d: int = 12) -> Tensor:
    """(N, D) samples about a mean of their own, with a covariance that all share."""
    shared, own = torch.Generator().manual_seed(99), torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=shared)
    return 2 * torch.randn(d, generator=own) + torch.randn(n, d, generator=own) @ mix


def test_the_shrunk_covariance_is_that_of_a_library() -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    for n in (5, 20, 400):
        samples = rows(0, n).double()
        centred = samples - samples.mean(0)
        wanted, _ = covariance.oas(centred.numpy(), assume_centered=True)
        mine = oracle_shrunk(centred.T @ centred / n, n)
        assert torch.allclose(mine, torch.from_numpy(wanted), rtol=1e-4, atol=1e-4)


def test_scores_are_distances_by_the_pooled_covariance_of_all_experts() -> None:
    router = Mahalanobis(keys=1)
    samples = [rows(seed, 50 * (seed + 1)) for seed in range(3)]
    known = [(voice(seed), describe(router, some)) for seed, some in enumerate(samples)]
    asked = rows(1, 40)
    centred = torch.cat([some - some.mean(0) for some in samples]).double()
    freedom = len(centred) - 3
    precision = torch.linalg.inv(oracle_shrunk(centred.T @ centred / freedom, freedom))
    apart = (asked[:, None] - torch.stack([some.mean(0) for some in samples])).double()
    wanted = -0.5 * torch.einsum("bed,df,bef->be", apart, precision, apart)
    assert torch.allclose(router.gather(known).scores(asked).double(), wanted, rtol=1e-3, atol=1e-3)


def test_the_nearest_of_several_keys_counts_also_where_experts_have_different_numbers_of_them() -> None:
    router = Mahalanobis(keys=3)
    corners = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]])
    noise = torch.randn(90, 2, generator=torch.Generator().manual_seed(0))
    known = [(0, describe(router, corners.repeat_interleave(30, 0) + noise)), (1, describe(router, noise[:2] + 10))]
    assert [len(kept["keys"]) for _, kept in known] == [3, 2]
    assert route(router, torch.cat([corners, torch.tensor([[10.0, 10.0]])]), known).experts.tolist() == [0, 0, 0, 1]


def test_it_agrees_with_linear_discriminant_analysis() -> None:
    analysis = pytest.importorskip("sklearn.discriminant_analysis")
    router, samples = Mahalanobis(keys=1), [rows(seed, 1500) for seed in range(5)]
    owners = torch.arange(5).repeat_interleave(1500)
    asked = torch.cat([rows(seed, 200) for seed in range(5)])
    fitted = analysis.LinearDiscriminantAnalysis(solver="lsqr", priors=[0.2] * 5)
    wanted = fitted.fit(torch.cat(samples).numpy(), owners.numpy()).predict(asked.numpy())
    found = route(router, asked, [(seed, describe(router, some)) for seed, some in enumerate(samples)]).experts
    assert float((found == torch.from_numpy(wanted)).float().mean()) >= 0.99


def test_what_is_remembered_does_not_grow_with_the_inputs() -> None:
    router = Mahalanobis(keys=4, directions=16)
    small, large = (describe(router, torch.randn(40, 3, side, side)) for side in (4, 32))
    assert {name: value.shape for name, value in small.items()} == {name: value.shape for name, value in large.items()}
    assert sum(value.numel() for value in large.values()) == 4 * 16 + 16 * 16 + 2


def test_worlds_far_apart_are_told_from_near_ones() -> None:
    router = Mahalanobis(keys=1)
    moved = [rows(seed, 300) + (1e4 if seed > 2 else 0) for seed in range(6)]
    known = [(seed, describe(router, some[:250])) for seed, some in enumerate(moved)]
    for seed, some in enumerate(moved):
        match = route(router, some[250:], known)
        assert float((match.experts == seed).float().mean()) >= 0.8
        assert float(match.known.float().mean()) >= 0.9


def test_directions_are_orthonormal_fixed_and_nobody_elses_random_numbers() -> None:
    state = torch.random.get_rng_state()
    one = directions(300, 48, 0, torch.device("cpu"))
    directions.cache_clear()
    assert torch.equal(one, directions(300, 48, 0, torch.device("cpu")))
    assert not torch.equal(one, directions(300, 48, 1, torch.device("cpu")))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.allclose(one.T @ one, torch.eye(48), atol=1e-5)
    images = torch.rand(5, 3, 4, 4)
    assert torch.equal(projected(images, 64, 0), images.flatten(1))
