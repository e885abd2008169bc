"""The Gaussian router is the likelihood that it says it is, routes well, and survives inputs that are no Gaussian."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from asking import describe, route
from torch import Tensor

from lifelong.routing.gaussian import GaussianRouter, _log_likelihood


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def world(seed: int, n: int, d: int = 20, strong: int = 4) -> Tensor:
    """(N, D) samples of one Gaussian with a few strong directions; the seed is the world's, not the samples' order."""
    generator = torch.Generator().manual_seed(seed)
    mean, axes = torch.randn(d, generator=generator), torch.randn(strong, d, generator=generator)
    return mean + torch.randn(n, strong, generator=generator) @ axes + 0.3 * torch.randn(n, d, generator=generator)


def likelihoods(rows: Tensor, centre: Tensor, kept: dict[str, Tensor]) -> Tensor:
    relative = rows - centre
    return _log_likelihood(relative, relative.square().sum(1), centre, kept)


@pytest.mark.parametrize("directions", [1, 3, 19, 50])
@pytest.mark.parametrize("n", [15, 400])
def test_likelihoods_are_those_of_the_full_covariance(directions: int, n: int) -> None:
    inputs, asked = world(0, n), world(1, 50)
    kept = describe(GaussianRouter(directions=directions), inputs)
    axes, variances, noise = kept["axes"].double(), kept["variances"].double(), kept["noise"].double()
    covariance = axes @ torch.diag(variances - noise) @ axes.T + noise * torch.eye(20, dtype=torch.float64)
    oracle = torch.distributions.MultivariateNormal(kept["mean"].double(), covariance)
    wanted: Tensor = oracle.log_prob(asked.double())  # type: ignore[no-untyped-call]
    # Where the rows are centred is a matter of speed and must not be a matter of the result.
    for centre in (torch.zeros(20), kept["mean"], torch.full((20,), 2.0)):
        assert torch.allclose(likelihoods(asked, centre, kept).double(), wanted, rtol=1e-4)


def test_the_description_is_probabilistic_pca() -> None:
    inputs = world(0, 500)
    kept = describe(GaussianRouter(directions=4), inputs)
    wide = inputs.double()
    values, vectors = torch.linalg.eigh(torch.cov(wide.T))
    assert torch.allclose(kept["mean"].double(), wide.mean(0), atol=1e-5)
    assert torch.allclose(kept["variances"].double(), values[-4:].flip(0), rtol=1e-4)
    span, wanted = kept["axes"].double(), vectors[:, -4:]
    assert (span @ span.T - wanted @ wanted.T).abs().max() < 1e-4
    # Equation 8: the noise is the mean of the variances that are left over.
    assert float(kept["noise"]) == pytest.approx(float(values[:-4].mean()), rel=1e-4)


@pytest.mark.parametrize("count", [60, 300, 1000])
@pytest.mark.parametrize("reject", [0.02, 0.05, 0.2])
def test_of_inputs_that_it_has_not_seen_no_more_are_rejected_than_asked_for(count: int, reject: float) -> None:
    inputs = world(0, 4000)
    router = GaussianRouter(reject=reject)
    known = route(router, inputs[count:], [(0, describe(router, inputs[:count]))]).known
    share = float((~known).float().mean())
    assert share <= reject + 3 * (reject / count) ** 0.5
    # With few samples the calibration errs on the side of taking inputs for known.
    assert count < 1000 or share >= reject / 2


def test_permuted_digits_are_routed_sample_by_sample() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    digits = torch.tensor(datasets.load_digits().data / 16.0, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    digits = digits[torch.randperm(len(digits), generator=generator)]
    orders = [torch.arange(64)] + [torch.randperm(64, generator=generator) for _ in range(4)]
    router = GaussianRouter()
    known = [(number, describe(router, digits[:1000, order])) for number, order in enumerate(orders)]
    for number, order in enumerate(orders):
        match = route(router, digits[1000:, order], known)
        assert float((match.experts == number).float().mean()) >= 0.99
        assert float(match.known.float().mean()) >= 0.95


def test_far_outliers_are_unknown_and_own_test_samples_known() -> None:
    router = GaussianRouter()
    samples = [world(seed, 1500) for seed in range(3)]
    known = [(seed, describe(router, rows[:1000])) for seed, rows in enumerate(samples)]
    for seed, rows in enumerate(samples):
        match = route(router, rows[1000:], known)
        assert bool((match.experts == seed).all())
        assert float(match.known.float().mean()) >= 0.95
    # Worlds far apart leave few digits around a common centre; own samples must still be known.
    moved = [(seed, describe(router, rows[:1000] + 1e4 * seed)) for seed, rows in enumerate(samples)]
    for seed, rows in enumerate(samples):
        match = route(router, rows[1000:] + 1e4 * seed, moved)
        assert bool((match.experts == seed).all())
        assert float(match.known.float().mean()) >= 0.95
    far = route(router, samples[0][:200] + 30.0 * torch.randn(20, generator=torch.Generator().manual_seed(5)), known)
    assert not bool(far.known.any())


def test_of_two_that_explain_a_sample_equally_well_the_earlier_is_taken() -> None:
    router, rows = GaussianRouter(), world(0, 300)
    kept = describe(router, rows)
    other = describe(router, world(1, 300))
    for order in ([7, 3, 5], [5, 7, 3]):
        match = route(router, rows, [(9, other), *((number, kept) for number in order)])
        assert match.experts.tolist() == [order[0]] * 300


def test_an_expert_more_changes_nothing_for_the_others() -> None:
    router = GaussianRouter()
    samples = [world(seed, 400) for seed in range(4)]
    known = [(seed, describe(router, rows[:300])) for seed, rows in enumerate(samples)]
    asked = torch.cat([rows[300:] for rows in samples[:3]])
    few, more = route(router, asked, known[:3]), route(router, asked, known)
    assert torch.equal(few.experts, more.experts)
    assert torch.equal(few.known, more.known)
    one, other = (torch.stack([kept["mean"] for _, kept in some]).mean(0) for some in (known[:3], known))
    for _, kept in known[:3]:
        assert torch.allclose(likelihoods(asked, one, kept), likelihoods(asked, other, kept), rtol=1e-4)


def test_two_hundred_experts_are_told_apart() -> None:
    router, generator = GaussianRouter(directions=4), torch.Generator().manual_seed(0)
    samples = [world(seed, 60) for seed in range(200)]
    known = [(1000 + seed, describe(router, rows[:50])) for seed, rows in enumerate(samples)]
    order = torch.randperm(2000, generator=generator)
    asked = torch.cat([rows[50:] for rows in samples])[order]
    truth = (1000 + torch.arange(200).repeat_interleave(10))[order]
    assert float((route(router, asked, known).experts == truth).float().mean()) >= 0.99


def test_describing_is_deterministic_and_changes_nothing() -> None:
    router, rows = GaussianRouter(), world(0, 100)
    before, state = rows.clone(), torch.random.get_rng_state()
    one, other = describe(router, rows), describe(router, rows)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(rows, before)
    assert torch.equal(torch.random.get_rng_state(), state)


ODD = {
    "constant pixels": torch.cat([world(0, 100), torch.full((100, 30), 0.5), torch.zeros(100, 14)], dim=1),
    "one dimension": world(0, 100)[:, :1],
    "two dimensions": world(0, 100)[:, :2],
    "fewer samples than dimensions": world(0, 10, d=300),
    "one sample": world(0, 1),
    "one sample of one number": torch.tensor([[3.0]]),
    "equal inputs": torch.full((50, 20), 0.7),
    "equal inputs, more numbers than samples": torch.full((50, 200), 0.7),
    "a few values, again and again": torch.eye(300)[torch.arange(100) % 5],
    "images": world(0, 100, d=60).view(100, 3, 4, 5),
    "integers": (world(0, 100) * 10).long(),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_inputs_give_finite_numbers_and_are_told_from_others(case: str) -> None:
    router, rows = GaussianRouter(), ODD[case]
    kept, other = describe(router, rows), describe(router, rows + 40)
    assert all(bool(torch.isfinite(value).all()) for value in kept.values())
    assert bool(torch.isfinite(likelihoods(rows.flatten(1).float(), kept["mean"], kept)).all())
    match = route(router, rows, [(1, other), (0, kept)])
    assert match.experts.tolist() == [0] * len(rows)
    assert match.experts.dtype == torch.int64
    assert match.known.dtype == torch.bool
    assert float(match.known.float().mean()) >= 0.95


def test_nobody_to_route_to_is_an_error() -> None:
    with pytest.raises(ValueError, match="no expert has been described"):
        route(GaussianRouter(), world(0, 3), [])


@pytest.mark.parametrize(
    ("directions", "floor", "reject", "message"),
    [(0, 0.01, 0.0, "directions=0"), (4, 0.0, 0.0, "floor=0.0"), (4, 0.01, 1.0, "reject=1.0")],
)
def test_bad_settings_are_refused_with_their_numbers(
    directions: int, floor: float, reject: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        GaussianRouter(directions, floor, reject)
