"""What every router promises, whatever it remembers and whoever it listens to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from lifelong.network import Mlp
from lifelong.routing.all_lanes import AllLanes
from lifelong.routing.confidence import Confidence
from lifelong.routing.gaussian import GaussianRouter
from lifelong.routing.latest import Latest
from lifelong.routing.mahalanobis import Mahalanobis
from lifelong.routing.nearest_mean import NearestMean
from lifelong.routing.router import Description, Finder, Router, Voice, per_batch, per_sample
from lifelong.routing.trained import Trained

NUMBERS, CLASSES = 20, 6


def routers(reject: float = 0.001) -> dict[str, Router]:
    return {
        "gaussian": GaussianRouter(directions=8, reject=reject),
        "gaussian, shortlist": GaussianRouter(directions=8, reject=reject, shortlist=1),
        "mahalanobis": Mahalanobis(directions=16, reject=reject),
        "mahalanobis, 1 key": Mahalanobis(keys=1, reject=reject),
        "nearest_mean": NearestMean(reject=reject),
        "nearest_mean, directions": NearestMean(reject=reject, space="directions", directions=16),
        "nearest_mean, features": NearestMean(reject=reject, space="features"),
        "confidence, entropy": Confidence("entropy", reject),
        "confidence, max_probability": Confidence("max_probability", reject),
        "confidence, energy": Confidence("energy", reject),
        "all_lanes": AllLanes(reject=reject),
        "trained": Trained(samples=200, network=Mlp((32,)), reject=reject),
        "latest": Latest(),
    }


ALL = sorted(routers())
SEES_INPUTS = [name for name in ALL if name.startswith(("gaussian", "mahalanobis", "nearest_mean"))]
"""Routers whose thresholds are distances or likelihoods. Answers and trained classifiers may be sure of anything."""

CALIBRATED = [name for name in ALL if name != "latest"]

ALONE = [name for name in ALL if not name.startswith(("mahalanobis", "trained")) and "shortlist" not in name]
"""Whose scores do not change when others come: not those that share a covariance, a network or a shortlist."""


def world(seed: int, n: int, draw: int = 0, d: int = NUMBERS) -> Tensor:
    """(N, D) samples of one Gaussian with a few strong directions; `seed` is the world's, `draw` the samples'."""
    fixed, free = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(1000 * seed + draw)
    mean, axes = torch.randn(d, generator=fixed), torch.randn(4, d, generator=fixed)
    return mean + torch.randn(n, 4, generator=free) @ axes + 0.3 * torch.randn(n, d, generator=free)


def voice(number: int, d: int = NUMBERS) -> Voice:
    """An expert with weights of its own, which depend on its number alone."""
    with torch.random.fork_rng():
        torch.manual_seed(number)
        body = nn.Sequential(nn.Flatten(), nn.Linear(d, 12), nn.ReLU())
        model = nn.Sequential(body, nn.Linear(12, CLASSES))
    return Voice(number, lambda x: body(x.float()).detach(), lambda x: model(x.float()).detach())


def known_by(router: Router, count: int, n: int = 300) -> list[tuple[Voice, Description]]:
    return [(voice(i), router.describe(world(i, n), voice(i))) for i in range(count)]


@pytest.mark.parametrize("name", ALL)
def test_the_same_inputs_give_the_same_answers_and_nothing_else_changes(name: str) -> None:
    rows, asked = world(0, 100), world(1, 20)
    before, state = rows.clone(), torch.random.get_rng_state()

    def answers() -> tuple[Tensor, Tensor]:
        # Made anew each time: nothing may depend on what a router did before.
        router = routers()[name]
        finder = router.gather([(voice(i), router.describe(rows + i, voice(i))) for i in range(3)])
        return finder.scores(asked), finder.accepts(asked, torch.arange(20) % 3)

    (one, known), (other, again) = answers(), answers()
    assert torch.equal(one, other)
    assert torch.equal(known, again)
    assert torch.equal(rows, before)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", ALL)
def test_scores_and_acceptance_have_the_promised_shapes(name: str) -> None:
    router = routers()[name]
    finder, asked = router.gather(known_by(router, 3, n=60)), world(1, 7)
    assert isinstance(router, Router)
    assert isinstance(finder, Finder)
    assert finder.scores(asked).shape == (7, 3)
    assert finder.accepts(asked, torch.tensor([0, 1, 2, 0, 1, 2, 0])).shape == (7,)
    match = per_batch(finder, asked, [5, 6, 7])
    assert len(set(match.experts.tolist())) == 1
    assert match.known.dtype == torch.bool


@pytest.mark.parametrize("name", ALONE)
def test_an_expert_more_changes_no_scores_of_the_others(name: str) -> None:
    router = routers()[name]
    known = known_by(router, 4)
    asked = torch.cat([world(seed, 30, draw=1) for seed in range(4)])
    few, more = router.gather(known[:3]).scores(asked), router.gather(known).scores(asked)
    assert torch.allclose(few, more[:, :3], rtol=1e-4, atol=1e-4)


# A network that is trained anew has a threshold of its own.
@pytest.mark.parametrize("name", [name for name in CALIBRATED if name != "trained"])
def test_an_expert_more_changes_nobodys_threshold(name: str) -> None:
    router = routers(reject=0.2)[name]
    known, asked = known_by(router, 4), torch.cat([world(seed, 50, draw=1) for seed in range(3)])
    entries = torch.arange(3).repeat_interleave(50)
    few, more = router.gather(known[:3]).accepts(asked, entries), router.gather(known).accepts(asked, entries)
    assert 0 < int(few.sum()) < 150
    assert torch.equal(few, more)


# A network that cannot tell two entries apart leans to one of them by chance.
@pytest.mark.parametrize("name", [name for name in ALL if name != "trained"])
def test_of_equal_entries_the_first_wins(name: str) -> None:
    router = routers()[name]
    speaker, rows = voice(1), world(1, 200)
    kept, other = router.describe(rows, speaker), router.describe(world(2, 200), voice(2))
    for numbers in ([7, 3, 5], [5, 7, 3]):
        finder = router.gather([*((speaker, kept) for _ in numbers), (voice(2), other)])
        found = per_sample(finder, world(1, 100, draw=1), [*numbers, 9]).experts
        assert set(found.tolist()) <= {numbers[0], 9}
        assert numbers[0] in found.tolist()


# The features of these experts were never trained to tell anything.
@pytest.mark.parametrize("name", [name for name in (*SEES_INPUTS, "trained") if "features" not in name])
def test_worlds_are_found_by_their_inputs(name: str) -> None:
    router = routers()[name]
    finder = router.gather(known_by(router, 4))
    for seed in range(4):
        asked = world(seed, 96, draw=1)
        assert float((per_sample(finder, asked, range(4)).experts == seed).float().mean()) >= 0.9
        assert all(int(per_batch(finder, some, range(4)).experts[0]) == seed for some in torch.split(asked, 32))


@pytest.mark.parametrize("name", CALIBRATED)
@pytest.mark.parametrize("reject", [0.05, 0.2])
def test_of_own_inputs_that_it_has_not_seen_about_the_asked_for_share_is_rejected(name: str, reject: float) -> None:
    router = routers(reject)[name]
    finder = router.gather(known_by(router, 3, n=2000))
    shares = []
    for seed in range(3):
        own = torch.full((2000,), seed)
        shares.append(float((~finder.accepts(world(seed, 2000, draw=1), own)).float().mean()))
    # One in so many, give or take: a quantile of a few hundred values is itself a draw.
    assert reject / 3 <= sum(shares) / 3 <= 2 * reject + 0.02, shares


@pytest.mark.parametrize("name", SEES_INPUTS)
def test_inputs_far_from_everything_are_rejected(name: str) -> None:
    router = routers()[name]
    known = known_by(router, 3)
    far = world(0, 100) + 60 * torch.randn(100, NUMBERS, generator=torch.Generator().manual_seed(5))
    found = per_sample(router.gather(known), far, range(3)).known
    # Through ReLUs some far inputs look like nothing at all, which may be near.
    assert float((~found).float().mean()) >= (0.9 if "features" in name else 1.0)


ODD = {
    "constant numbers": torch.cat([world(0, 80), torch.full((80, 30), 0.5)], dim=1),
    "one number": world(0, 80)[:, :1],
    "fewer samples than numbers": world(0, 10, d=300),
    "one sample": world(0, 1),
    "equal inputs": torch.full((50, 20), 0.7),
    "large numbers": world(0, 80) * 1e4,
    "images": world(0, 80, d=60).view(80, 3, 4, 5),
    "integers": (world(0, 80) * 10).long(),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("case", ODD)
def test_odd_inputs_give_finite_numbers(name: str, case: str) -> None:
    rows = ODD[case]
    router, speaker = routers()[name], voice(0, rows[0].numel())
    known = [(speaker, router.describe(some, speaker)) for some in (rows, rows + 40)]
    assert all(bool(torch.isfinite(value.float()).all()) for _, kept in known for value in kept.values())
    finder = router.gather(known)
    scores = finder.scores(rows)
    assert scores.shape == (len(rows), 2)
    assert bool(torch.isfinite(scores).all())
    assert finder.accepts(rows, torch.zeros(len(rows), dtype=torch.int64)).dtype == torch.bool
    if name in SEES_INPUTS and "features" not in name and case != "large numbers":
        assert set(per_sample(finder, rows, [3, 4]).experts.tolist()) == {3}


@pytest.mark.parametrize("name", ALL)
def test_nobody_to_route_to_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no expert has been described"):
        routers()[name].gather([])


BAD: Sequence[tuple[Callable[[], object], str]] = [
    (lambda: Mahalanobis(keys=0), "keys=0"),
    (lambda: Mahalanobis(directions=0), "directions=0"),
    (lambda: Mahalanobis(reject=1.0), "reject=1.0"),
    (lambda: NearestMean(directions=0), "directions=0"),
    (lambda: NearestMean(space="elsewhere"), "'elsewhere'"),  # type: ignore[arg-type]
    (lambda: Confidence("luck"), "'luck'"),  # type: ignore[arg-type]
    (lambda: Confidence(reject=-0.1), "reject=-0.1"),
    (lambda: AllLanes(least=0.0), "least=0.0"),
    (lambda: AllLanes(reject=1.0), "reject=1.0"),
    (lambda: Trained(samples=0), "got 0"),
    (lambda: Trained(held=1), "held >= 2"),
    (lambda: GaussianRouter(shortlist=0), "shortlist=0"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_settings_are_refused_with_their_numbers(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
