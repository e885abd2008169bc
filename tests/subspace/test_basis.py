"""A basis grows as a float64 SVD says, stays orthonormal, and is the same whether it keeps itself or its complement."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from lifelong.subspace.basis import Basis, polished
from lifelong.subspace.moments import Moments


def spectrum(n: int, d: int, seed: int) -> Tensor:
    """(N, D) float32 samples whose singular values fall off smoothly."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator)
    mixing: Tensor = torch.linalg.qr(torch.randn(d, d, generator=generator)).Q
    return rows * torch.linspace(1.0, -2.0, d).exp() @ mixing


def low_rank(n: int, d: int, rank: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, rank, generator=generator) @ torch.randn(rank, d, generator=generator)


def grown_by_svd(protected: Tensor, samples: Tensor, energy: float) -> tuple[Tensor, float]:
    """The definition, in float64: fewest leading right singular vectors of what lies outside the protected span."""
    rows = samples.double()
    rest = rows - rows @ protected @ protected.T
    _, values, right = torch.linalg.svd(rest, full_matrices=False)
    total = rows.square().sum()
    held = 1.0 - rest.square().sum() / total
    taken = 0
    while held < energy:
        held = held + values[taken].square() / total
        taken += 1
    return torch.cat([protected, right[:taken].T], dim=1), float(held)


@pytest.mark.parametrize("energy", [0.6, 0.9, 0.99])
@pytest.mark.parametrize(("n", "d"), [(12, 40), (40, 40), (120, 30)])
def test_growth_equals_a_float64_svd(n: int, d: int, energy: float) -> None:
    basis, wanted = Basis(d), torch.zeros(d, 0, dtype=torch.float64)
    for seed in range(3):
        samples = spectrum(n, d, seed)
        wanted, held = grown_by_svd(wanted, samples, energy)
        assert basis.grow(samples, energy) == pytest.approx(held, abs=1e-6)
        assert basis.rank == wanted.shape[1]
        directions = basis.directions().double()
        assert (directions @ directions.T - wanted @ wanted.T).abs().max() < 1e-5


@pytest.mark.parametrize("as_covariance", [False, True])
def test_growth_equals_a_float64_svd_beyond_half_of_the_directions(as_covariance: bool) -> None:
    d, energy = 32, 0.8
    basis, wanted = Basis(d), torch.zeros(d, 0, dtype=torch.float64)
    for seed in range(12):
        samples = spectrum(10, d, seed)
        wanted, held = grown_by_svd(wanted, samples, energy)
        wide = samples.double()
        seen = Moments(float(wide.square().sum()), covariance=wide.T @ wide) if as_covariance else samples
        assert basis.grow(seen, energy) == pytest.approx(held, abs=1e-5)
        directions = basis.directions().double()
        assert (directions @ directions.T - wanted @ wanted.T).abs().max() < 1e-4
    assert 16 < basis.rank == wanted.shape[1] < d


def test_what_a_sketch_lost_is_missing_beyond_half_of_the_directions_too() -> None:
    basis, samples = Basis(10), spectrum(30, 10, seed=0)
    basis.grow(low_rank(20, 10, 6), 1.0)
    total = 2.0 * float(samples.double().square().sum())
    assert basis.grow(Moments(total, samples), 0.9) == pytest.approx(0.5, abs=1e-6)
    assert basis.rank == 10


def test_rounding_to_single_precision_does_not_add_up() -> None:
    columns = torch.linalg.qr(spectrum(600, 500, seed=0).double()).Q.float().double()
    polish = polished(columns)
    identity = torch.eye(500, dtype=torch.float64)
    assert (columns.T @ columns - identity).norm() > 1e-7
    assert (polish.T @ polish - identity).norm() < 1e-12
    assert (polish - columns).abs().max() < 1e-7


def test_what_remains_of_the_samples_is_what_the_energy_leaves_open() -> None:
    basis, samples = Basis(40), spectrum(100, 40, seed=3)
    held = basis.grow(samples, 0.9)
    left = float(basis.remove(samples).square().sum() / samples.square().sum())
    assert left == pytest.approx(1.0 - held, abs=1e-6)
    assert 0.9 <= held < 1.0


@pytest.mark.parametrize("d", [30, 31])
def test_directions_stay_orthonormal_and_the_smaller_side_is_kept_at_every_rank(d: int) -> None:
    basis, rows = Basis(d), spectrum(50, d, seed=9)
    ranks = []
    for step in range(1, d + 1):
        basis.grow(low_rank(5, d, 1, seed=step), 1.0)
        ranks.append(basis.rank)
        directions = basis.directions()
        assert (directions.T @ directions - torch.eye(basis.rank)).abs().max() < 1e-6
        # The flip to the complement must not be felt.
        assert (basis.remove(rows) - (rows - rows @ directions @ directions.T)).abs().max() < 1e-5
        assert basis.state_dict()["kept"].shape[1] == min(basis.rank, d - basis.rank)
    assert ranks == list(range(1, d + 1))


def test_an_empty_basis_removes_nothing_and_a_full_one_everything() -> None:
    basis, rows = Basis(8), spectrum(20, 8, seed=0)
    assert torch.equal(basis.remove(rows), rows)
    assert basis.directions().shape == (8, 0)
    assert basis.grow(rows, 1.0) == pytest.approx(1.0)
    assert basis.rank == 8
    assert torch.equal(basis.remove(rows), torch.zeros(20, 8))
    assert basis.grow(spectrum(20, 8, seed=1), 1.0) == 1.0
    assert basis.rank == 8


def test_one_direction_is_enough_to_be_full() -> None:
    basis = Basis(1)
    basis.grow(torch.ones(3, 1), 0.5)
    assert basis.rank == 1
    assert torch.equal(basis.remove(torch.ones(2, 1)), torch.zeros(2, 1))


@pytest.mark.parametrize("rows", [0, 5])
def test_samples_without_content_ask_for_no_direction(rows: int) -> None:
    basis = Basis(4)
    assert basis.grow(torch.zeros(rows, 4), 0.99) == 1.0
    assert basis.rank == 0


def test_what_is_held_already_adds_nothing() -> None:
    basis, samples = Basis(20), low_rank(30, 20, 5)
    basis.grow(samples, 1.0)
    before = basis.directions().clone()
    assert basis.grow(samples[3:9] @ torch.eye(20) * 7.0, 1.0) == pytest.approx(1.0, abs=1e-6)
    assert torch.equal(basis.directions(), before)


def test_what_is_held_well_enough_adds_nothing() -> None:
    basis, samples = Basis(40), spectrum(100, 40, seed=3)
    held = basis.grow(samples, 0.9)
    rank = basis.rank
    assert basis.grow(samples, 0.9) == pytest.approx(held, abs=1e-6)
    assert basis.rank == rank


@pytest.mark.parametrize("n", [20, 60])
def test_directions_of_very_unequal_strength_are_orthonormal_too(n: int) -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(size, 12, generator=generator).double()).Q for size in (n, 40))
    basis = Basis(40)
    basis.grow(left * torch.logspace(0, -5, 12).double() @ right.T, 1.0)
    directions = basis.directions()
    assert basis.rank == 12
    assert (directions.T @ directions - torch.eye(12)).abs().max() < 1e-9


@pytest.mark.parametrize("n", [10, 200])
def test_rounding_noise_is_not_taken_for_a_direction(n: int) -> None:
    basis = Basis(50)
    basis.grow(low_rank(n, 50, 4), 1.0)
    assert basis.rank == 4


def test_a_restored_basis_goes_on_identically() -> None:
    basis, twin = Basis(20), Basis(20)
    basis.grow(low_rank(30, 20, 12), 1.0)
    twin.load_state_dict(copy.deepcopy(basis.state_dict()))
    more, rows = low_rank(30, 20, 3, seed=1), spectrum(10, 20, seed=2)
    assert twin.rank == basis.rank == 12
    assert torch.equal(basis.remove(rows), twin.remove(rows))
    assert basis.grow(more, 0.9) == twin.grow(more, 0.9)
    assert twin.rank == basis.rank > 12
    assert torch.equal(basis.remove(rows), twin.remove(rows))


def test_a_basis_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size=0"):
        Basis(0)
