"""Naive Bayes by its definition, on permutations that it is made for."""

from __future__ import annotations

import pytest
import torch
from asking import describe, route
from torch import Tensor

from lifelong.routing.bernoulli import BernoulliRouter


def world(number: int, count: int, seed: int) -> Tensor:
    """Dim and bright places, permuted in a way that is the world's own."""
    generator = torch.Generator().manual_seed(seed)
    chances = torch.linspace(0.05, 0.95, 300)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(number))
    return (torch.rand(count, 300, generator=generator) < chances).float()[:, order]


def test_likelihoods_are_those_of_independent_coins() -> None:
    inputs = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.6, 0.1], [0.7, 0.2, 0.3]])
    router = BernoulliRouter(places=None, reject=0.0)
    kept = describe(router, inputs)
    # Half a sample on and half a sample off beside the three.
    wanted = torch.tensor([3.5 / 4, 1.5 / 4, 0.5 / 4], dtype=torch.float64)
    torch.testing.assert_close(kept["chances"], wanted)
    coins = torch.distributions.Bernoulli(wanted)
    own = coins.log_prob((inputs > 0.5).double()).sum(1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(kept["least"], own.min())
    asked = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    assert route(router, asked, [(3, kept)]).known.tolist() == [True, False]


@pytest.mark.parametrize("places", [None, 60])
def test_it_tells_permutations_apart(places: int | None) -> None:
    router = BernoulliRouter(places)
    known = [(number, describe(router, world(number, 300, seed=0))) for number in range(8)]
    assert all(len(kept["chances"]) == (places or 300) for _, kept in known)
    for number in range(8):
        chosen = route(router, world(number, 200, seed=1), known).experts
        assert (chosen == number).float().mean() > (0.99 if places is None else 0.9)


def test_the_most_likely_by_brute_force() -> None:
    router = BernoulliRouter(places=40, seed=5)
    known = [(number, describe(router, world(number, 50, seed=0))) for number in (4, 1, 7)]
    asked = world(1, 30, seed=2)
    places = torch.randperm(300, generator=torch.Generator().manual_seed(5))[:40]
    for row, chosen in zip(asked, route(router, asked, known).experts.tolist(), strict=True):
        likely = []
        for number, kept in known:
            chances = [c if on else 1 - c for c, on in zip(kept["chances"].tolist(), row[places] > 0.5, strict=True)]
            likely.append((float(torch.tensor(chances, dtype=torch.float64).log().sum()), number))
        assert chosen == max(likely)[1]


def test_of_two_equally_likely_the_earlier_is_taken() -> None:
    router, rows = BernoulliRouter(), world(0, 20, seed=0)
    kept = describe(router, rows)
    for order in ([7, 3], [3, 7]):
        assert route(router, rows, [(number, kept) for number in order]).experts.tolist() == [order[0]] * 20


@pytest.mark.parametrize("reject", [0.0, 0.05, 0.2])
def test_no_more_of_the_own_inputs_are_rejected_than_asked_for(reject: float) -> None:
    router, rows = BernoulliRouter(reject=reject), world(0, 100, seed=0)
    unknown = ~route(router, rows, [(0, describe(router, rows))]).known
    assert float(unknown.float().mean()) <= reject
    assert not bool(route(router, 1 - rows, [(0, describe(router, rows))]).known.any())


@pytest.mark.parametrize(
    "inputs", [torch.full((5, 20), 0.7), torch.ones(1, 5), torch.zeros(3, 2, 2), torch.arange(9)[:, None]]
)
def test_odd_inputs_give_finite_numbers_and_stay_known(inputs: Tensor) -> None:
    router = BernoulliRouter(reject=0.0)
    kept = describe(router, inputs)
    assert all(bool(torch.isfinite(value).all()) for value in kept.values())
    assert bool(route(router, inputs, [(0, kept)]).known.all())


def test_describing_is_deterministic_and_draws_nothing() -> None:
    rows, state = world(0, 30, seed=0), torch.random.get_rng_state()
    one, other = describe(BernoulliRouter(), rows), describe(BernoulliRouter(), rows)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="no expert has been described"):
        route(BernoulliRouter(), torch.zeros(3, 2), [])
    with pytest.raises(ValueError, match="places=0"):
        BernoulliRouter(0)
    with pytest.raises(ValueError, match=r"reject=1\.0"):
        BernoulliRouter(reject=1.0)
