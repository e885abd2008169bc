"""Routing to the nearest prototype: k-means by its definition, and whoever is nearest answers."""

from __future__ import annotations

import pytest
import torch
from asking import describe, route
from torch import Tensor

from lifelong.routing.nearest_mean import NearestMean


def blobs(centres: list[list[float]], each: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    around = torch.tensor(centres).repeat_interleave(each, dim=0)
    return around + 0.1 * torch.randn(around.shape, generator=generator)


def test_one_prototype_is_the_mean_and_the_farthest_input_bounds_what_is_known() -> None:
    inputs = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0], [1.0, 6.0]])
    router = NearestMean(prototypes=1, reject=0.0)
    kept = describe(router, inputs)
    assert torch.allclose(kept["centres"], torch.tensor([[1.0, 2.0]]))
    assert float(kept["farthest"]) == pytest.approx(4.0)
    asked = torch.tensor([[1.0, -1.9], [1.0, -2.1], [4.9, 2.0], [5.1, 2.0]])
    assert route(router, asked, [(0, kept)]).known.tolist() == [True, False, True, False]


def test_prototypes_are_a_fixed_point_of_k_means() -> None:
    inputs = blobs([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], 40)
    centres = describe(NearestMean(prototypes=3), inputs)["centres"]
    nearest = (inputs[:, None] - centres).square().sum(-1).argmin(1)
    for number in range(3):
        assert torch.allclose(inputs[nearest == number].mean(0), centres[number], atol=1e-5)
    assert sorted(torch.bincount(nearest).tolist()) == [40, 40, 40]


def test_the_nearest_prototype_of_any_expert_decides() -> None:
    router = NearestMean(prototypes=2)
    ring = describe(router, blobs([[0.0, 0.0], [20.0, 0.0]], 50))
    middle = describe(router, blobs([[10.0, 0.0], [10.0, 5.0]], 50))
    asked = torch.tensor([[1.0, 0.0], [19.0, 0.0], [11.0, 1.0], [10.0, 4.0]])
    # The two experts' means are the same but for the height: one mean each could not tell them apart.
    assert route(router, asked, [(4, ring), (2, middle)]).experts.tolist() == [4, 4, 2, 2]


def test_of_two_equally_near_the_earlier_is_taken() -> None:
    router, rows = NearestMean(), blobs([[0.0, 0.0], [3.0, 1.0]], 30)
    kept = describe(router, rows)
    for order in ([7, 3], [3, 7]):
        assert route(router, rows, [(number, kept) for number in order]).experts.tolist() == [order[0]] * 60


def test_worlds_far_apart_leave_near_ones_apart() -> None:
    router = NearestMean(prototypes=1)
    corners = [[0.0, 0.0], [1.0, 0.0], [3e4, 0.0], [3e4, 1.0]]
    known = [(number, describe(router, blobs([corner], 40))) for number, corner in enumerate(corners)]
    assert route(router, blobs(corners, 30, seed=1), known).experts.tolist() == [n for n in range(4) for _ in range(30)]


def test_own_test_samples_are_known_and_far_ones_are_not() -> None:
    router = NearestMean(prototypes=4)
    kept = describe(router, blobs([[0.0] * 8, [5.0] * 8], 200))
    fresh = blobs([[0.0] * 8, [5.0] * 8], 100, seed=1)
    assert float(route(router, fresh, [(0, kept)]).known.float().mean()) >= 0.95
    assert not bool(route(router, fresh + 50.0, [(0, kept)]).known.any())


@pytest.mark.parametrize("reject", [0.0, 0.05, 0.2])
def test_no_more_of_the_own_inputs_are_rejected_than_asked_for(reject: float) -> None:
    router, rows = NearestMean(prototypes=2, reject=reject), blobs([[0.0, 0.0], [3.0, 1.0]], 15)
    unknown = ~route(router, rows, [(0, describe(router, rows))]).known
    assert reject - 1 / 30 <= float(unknown.float().mean()) <= reject


@pytest.mark.parametrize(
    "inputs",
    [
        torch.full((50, 20), 0.7),
        torch.ones(1, 5),
        torch.tensor([[3.0]]),
        torch.zeros(3, 2, 2),
        torch.arange(30)[:, None],
    ],
    ids=["equal", "one sample", "one number", "images of nothing", "integers"],
)
def test_odd_inputs_give_finite_numbers_and_stay_known(inputs: Tensor) -> None:
    router = NearestMean(reject=0.0)
    kept, other = describe(router, inputs), describe(router, inputs + 100)
    assert all(bool(torch.isfinite(value).all()) for value in kept.values())
    match = route(router, inputs, [(1, other), (0, kept)])
    assert match.experts.tolist() == [0] * len(inputs)
    assert bool(match.known.all())


def test_describing_is_deterministic_and_changes_nothing() -> None:
    router, rows = NearestMean(), blobs([[0.0, 0.0], [3.0, 1.0]], 30)
    before, state = rows.clone(), torch.random.get_rng_state()
    one, other = describe(router, rows), describe(router, rows)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(rows, before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_nobody_to_route_to_is_an_error() -> None:
    with pytest.raises(ValueError, match="no expert has been described"):
        route(NearestMean(), torch.zeros(3, 2), [])


@pytest.mark.parametrize(("prototypes", "reject", "message"), [(0, 0.0, "prototypes=0"), (3, 1.0, "reject=1.0")])
def test_bad_settings_are_refused_with_their_numbers(prototypes: int, reject: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NearestMean(prototypes, reject)
