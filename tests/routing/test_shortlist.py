"""A shortlist is quicker, and finds whom the full search finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from asking import voice
from torch import Tensor

from lifelong.routing.gaussian import GaussianRouter
from lifelong.routing.router import Description, Finder, per_batch, per_sample
from lifelong.routing.shortlist import Shortlist

COUNT = 240


@pytest.fixture(scope="module")
def permuted() -> tuple[list[Description], Tensor, list[Tensor]]:
    """Descriptions of digits under many permutations, digits that they have not seen, and the permutations."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = torch.tensor(datasets.load_digits().data / 16.0, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    digits = digits[torch.randperm(len(digits), generator=generator)]
    orders = [torch.randperm(64, generator=generator) for _ in range(COUNT)]
    router = GaussianRouter()
    return [router.describe(digits[:300, order], voice(0)) for order in orders], digits[1000:], orders


def finders(kept: list[Description]) -> tuple[Finder, Finder]:
    known = [(voice(0), one) for one in kept]
    short, full = GaussianRouter(), replace(GaussianRouter(), shortlist=len(kept))
    return short.gather(known), full.gather(known)


def test_the_winner_is_that_of_the_full_search(permuted: tuple[list[Description], Tensor, list[Tensor]]) -> None:
    kept, digits, orders = permuted
    short, full = finders(kept)
    same = []
    for number in range(0, COUNT, 24):
        asked = digits[:128, orders[number]]
        same.append(per_sample(short, asked, range(COUNT)).experts == per_sample(full, asked, range(COUNT)).experts)
        for some in torch.split(asked, 32):
            assert per_batch(short, some, range(COUNT)).experts[0] == per_batch(full, some, range(COUNT)).experts[0]
    assert float(torch.cat(same).float().mean()) >= 0.99


def test_samples_of_many_worlds_and_single_samples_find_theirs_too(
    permuted: tuple[list[Description], Tensor, list[Tensor]],
) -> None:
    kept, digits, orders = permuted
    short, full = finders(kept)
    mixed = torch.stack([digits[i, orders[i % COUNT]] for i in range(300)])
    wanted = per_sample(full, mixed, range(COUNT)).experts
    assert float((per_sample(short, mixed, range(COUNT)).experts == wanted).float().mean()) >= 0.99
    alone = torch.cat([per_sample(short, one[None], range(COUNT)).experts for one in mixed[:100]])
    assert float((alone == wanted[:100]).float().mean()) >= 0.99


def test_scores_of_the_listed_are_exact_and_the_others_stand_behind_them(
    permuted: tuple[list[Description], Tensor, list[Tensor]],
) -> None:
    kept, digits, orders = permuted
    short, full = finders(kept)
    asked = digits[:64, orders[7]]
    listed = Shortlist(kept)
    chosen = listed.pick(listed.ranks(asked))
    assert 7 in chosen.tolist()
    assert len(chosen) < COUNT / 4
    found, exact = short.scores(asked), full.scores(asked)
    assert torch.allclose(found[:, chosen], exact[:, chosen], rtol=1e-5)
    rest = torch.ones(COUNT, dtype=torch.bool)
    rest[chosen] = False
    assert bool((found[:, rest].amax(1) < found[:, chosen].amin(1)).all())


def test_ranks_are_likelihoods_under_diagonal_gaussians_also_far_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    router = GaussianRouter(directions=2)
    for apart in (1.0, 1e4):
        samples = [apart * (i // 10) + i + torch.randn(50, 5, generator=generator) for i in range(40)]
        kept = [router.describe(some, voice(0)) for some in samples]
        asked = samples[13]
        # Five numbers are fewer than the directions, which are then the inputs' own.
        wanted = []
        for one in kept:
            spread = one["axes"].square() @ (one["variances"] - one["noise"]) + one["noise"]
            normal = torch.distributions.Normal(one["mean"].double(), spread.double().sqrt())
            wanted.append(normal.log_prob(asked.double()).sum(1))  # type: ignore[no-untyped-call]
        ranks = Shortlist(kept).ranks(asked).double()
        oracle = torch.stack(wanted, dim=1)
        near = slice(10, 20)
        differences = (ranks - ranks[:, 13:14]) - (oracle - oracle[:, 13:14])
        assert float(differences[:, near].abs().max()) < 0.05
        assert torch.equal(ranks.argmax(1), oracle.argmax(1))
