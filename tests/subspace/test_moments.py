"""Whatever is kept of rows that stream by, its second moments are theirs; a sketch errs no more than it may."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lifelong.subspace.basis import Basis
from lifelong.subspace.moments import Collector, Covariance, FrequentDirections, Moments, Rows, SignedSums, Stream


def parts(count: int = 6, n: int = 30, d: int = 12, groups: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(groups, n, d, generator=generator) * torch.linspace(3, 0.1, d) for _ in range(count)]


def gram(seen: Moments) -> Tensor:
    if seen.covariance is not None:
        return seen.covariance
    assert seen.factor is not None
    return seen.factor.double().T @ seen.factor.double()


@pytest.mark.parametrize("collector", [Rows(), Covariance(), SignedSums(180), Stream(), Stream(widest=4, sketch=200)])
def test_second_moments_are_those_of_all_rows(collector: Collector) -> None:
    rows = parts()
    for part in rows:
        collector.add(part)
    everything = torch.cat(rows, dim=1).double()
    for group, seen in enumerate(collector.moments()):
        assert torch.allclose(gram(seen), everything[group].T @ everything[group], rtol=1e-5, atol=1e-4)
        assert seen.total == pytest.approx(float(everything[group].square().sum()), rel=1e-6)


@pytest.mark.parametrize("size", [4, 8])
def test_a_sketch_errs_at_most_by_the_energy_over_its_size(size: int) -> None:
    sketch, rows = FrequentDirections(size), parts()
    for part in rows:
        sketch.add(part)
    everything = torch.cat(rows, dim=1).double()
    for group, seen in enumerate(sketch.moments()):
        assert seen.factor is not None
        assert len(seen.factor) <= 2 * size
        missing = everything[group].T @ everything[group] - gram(seen)
        values = torch.linalg.eigvalsh(missing)
        assert values[0] > -1e-3
        assert 0.0 < values[-1] <= seen.total / size
        assert seen.total == pytest.approx(float(everything[group].square().sum()), rel=1e-6)


def test_what_a_sketch_has_lost_is_not_called_held() -> None:
    sketch = FrequentDirections(3)
    sketch.add(torch.eye(12)[None].repeat(1, 5, 1))
    (seen,) = sketch.moments()
    assert Basis(12).grow(seen, 0.99) < 0.6


@pytest.mark.parametrize(
    "make",
    [Covariance, lambda half_life: SignedSums(40, half_life)],
)
def test_half_of_it_counts_after_a_half_life(make: type[Covariance]) -> None:
    collector = make(half_life=2.0)
    old, new = torch.eye(4)[None, :1], torch.eye(4)[None, 1:2]
    collector.add(old)
    for _ in range(2):
        collector.add(new)
    (seen,) = collector.moments()
    diagonal = gram(seen).diagonal()
    assert float(diagonal[0]) == pytest.approx(0.5, rel=1e-6)
    assert float(diagonal[1]) == pytest.approx(1.0 + 0.5**0.5, rel=1e-6)


def test_a_basis_from_moments_is_the_one_from_samples() -> None:
    samples = parts(1, 80, 16, 1)[0][0]
    covariance = Covariance()
    covariance.add(samples[None])
    one, other = Basis(16), Basis(16)
    assert one.grow(samples, 0.95) == pytest.approx(other.grow(covariance.moments()[0], 0.95), abs=1e-6)
    assert one.rank == other.rank
    assert torch.allclose(one.remove(samples), other.remove(samples), atol=1e-5)


@pytest.mark.parametrize("size", [32, 128, 512])
def test_signed_sums_err_as_their_size_says(size: int) -> None:
    sketch, rows = SignedSums(size), parts(count=40, n=70)
    for part in rows:
        sketch.add(part)
    everything = torch.cat(rows, dim=1).double()
    for group, seen in enumerate(sketch.moments()):
        exact = everything[group].T @ everything[group]
        # The mean of the squared error is at most 2 / size times the squared energy.
        assert (gram(seen) - exact).norm() < 2.0 * (2.0 / size) ** 0.5 * exact.trace()


def test_signed_sums_miss_no_direction_and_add_none() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 3000, 6, generator=generator) @ torch.randn(6, 50, generator=generator)
    rare = torch.zeros(1, 1, 50).index_fill_(2, torch.tensor([7]), 30.0)
    sketch = SignedSums(20)
    for part in (rows[:, :1000], rare, rows[:, 1000:]):
        sketch.add(part)
    basis = Basis(50)
    assert basis.grow(sketch.moments()[0], 1.0) == pytest.approx(1.0)
    assert basis.rank == 7
    old = torch.cat([rows, rare], dim=1)
    assert basis.remove(old).norm() < 1e-5 * old.norm()


@pytest.mark.parametrize("make", [FrequentDirections, SignedSums])
def test_a_sketch_needs_a_row(make: type[FrequentDirections] | type[SignedSums]) -> None:
    with pytest.raises(ValueError, match="at least one row, got size=0"):
        make(0)
