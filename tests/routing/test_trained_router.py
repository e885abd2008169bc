"""The trained selector: what it remembers, what it learns, and whose random numbers it draws."""

from __future__ import annotations

import pytest
import torch
from asking import describe, route, voice
from torch import Tensor

from lifelong.augment import Affine
from lifelong.fit import Fit
from lifelong.network import Cnn, Mlp
from lifelong.optimizer import Optimizer
from lifelong.routing.router import Voice
from lifelong.routing.trained import Trained


def training(epochs: int, lr: float = 0.001) -> Fit:
    return Fit(epochs, 64, Optimizer("adam", lr=lr))


def ring(radius: float, n: int, seed: int) -> Tensor:
    """Points at one distance from the origin: all rings have the same mean, and no line tells them apart."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, 2, generator=generator)
    return radius * points / points.norm(dim=1, keepdim=True) + 0.05 * torch.randn(n, 2, generator=generator)


def test_it_finds_what_no_mean_tells() -> None:
    router = Trained(network=Mlp((32, 32)), fit=training(40, 0.01))
    known = [(seed, describe(router, ring(seed + 1.0, 300, seed))) for seed in range(3)]
    for seed in range(3):
        found = route(router, ring(seed + 1.0, 100, 10 + seed), known)
        assert float((found.experts == seed).float().mean()) >= 0.95
        assert float(found.known.float().mean()) >= 0.9


def test_memory_is_bounded_in_bytes_and_true_to_half_a_step() -> None:
    rows = torch.randn(1000, 7, generator=torch.Generator().manual_seed(0)) * torch.logspace(-2, 3, 7)
    kept = describe(Trained(samples=64), rows)
    assert kept["samples"].dtype == torch.uint8
    assert kept["samples"].shape == (64, 7)
    some = rows[torch.linspace(0, 999, 64).long()]
    off = (kept["samples"] * kept["step"] + kept["low"] - some).abs()
    assert bool((off <= 0.51 * kept["step"] + 1e-6).all())
    constant = describe(Trained(), torch.full((5, 3), 0.7))
    assert torch.allclose(constant["samples"] * constant["step"] + constant["low"], torch.tensor(0.7))


def test_images_keep_their_shape_for_a_convolutional_selector() -> None:
    generator = torch.Generator().manual_seed(0)
    stripes = torch.zeros(1, 8, 8)
    stripes[:, ::2] = 1
    worlds = [base + 0.3 * torch.randn(240, 1, 8, 8, generator=generator) for base in (stripes, stripes.mT)]
    router = Trained(network=Cnn((8,), 16), fit=training(15, 0.01), augment=Affine(5.0, 1.0))
    known = [(number, describe(router, some[:160])) for number, some in enumerate(worlds)]
    for number, some in enumerate(worlds):
        assert float((route(router, some[160:], known).experts == number).float().mean()) >= 0.95


def test_kinds_are_what_the_expert_answers_and_tell_the_network_more() -> None:
    # Each world has two clouds, and its expert calls them 0 and 1.
    generator = torch.Generator().manual_seed(0)
    places = torch.tensor([[[0.0, 0.0], [4.0, 4.0]], [[4.0, 0.0], [0.0, 4.0]]])
    called = torch.arange(400) % 2
    worlds = [centres[called] + 0.3 * torch.randn(400, 2, generator=generator) for centres in places]

    def calls(inputs: Tensor) -> Tensor:
        return torch.stack([2.0 - inputs[:, 1], inputs[:, 1] - 2.0], dim=1)

    router = Trained(network=Mlp((8,)), fit=training(15, 0.01), kinds="answers")
    speakers = [Voice(number, calls, calls) for number in range(2)]
    known = [(one, router.describe(some[:300], one)) for one, some in zip(speakers, worlds, strict=True)]
    assert torch.equal(known[0][1]["kinds"], calls(worlds[0][torch.linspace(0, 299, 256).long()]).argmax(1))
    finder = router.gather(known)
    assert len(finder.selector.owners) == 4
    for number, some in enumerate(worlds):
        assert float((finder.scores(some[300:]).argmax(1) == number).float().mean()) >= 0.98


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_trains_where_gradients_are_off(mode: type[torch.no_grad]) -> None:
    router = Trained(samples=50, fit=training(2), network=Mlp((8,)))
    rows, asked = [ring(seed + 1.0, 60, seed) for seed in range(2)], ring(1.0, 9, 5)
    wanted = router.gather([(voice(0), describe(router, some)) for some in rows]).scores(asked)
    with mode():
        found = router.gather([(voice(0), describe(router, some)) for some in rows]).scores(asked)
    assert torch.equal(wanted, found)
    assert not found.requires_grad


def test_the_seed_decides_the_network() -> None:
    rows, asked = [ring(seed + 1.0, 60, seed) for seed in range(2)], ring(1.0, 9, 5)
    first, same, other = (
        router.gather([(voice(0), describe(router, some)) for some in rows]).scores(asked)
        for router in (
            Trained(fit=training(1), seed=1),
            Trained(fit=training(1), seed=1),
            Trained(fit=training(1), seed=2),
        )
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
