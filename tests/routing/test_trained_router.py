"""The trained selector: what it remembers, what it learns, and whose random numbers it draws."""

from __future__ import annotations

import pytest
import torch
from asking import describe, route, voice
from torch import Tensor

from lifelong.network import Cnn, Mlp
from lifelong.routing.trained import Trained, _moved


def ring(radius: float, n: int, seed: int) -> Tensor:
    """Points at one distance from the origin: all rings have the same mean, and no line tells them apart."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(n, 2, generator=generator)
    return radius * points / points.norm(dim=1, keepdim=True) + 0.05 * torch.randn(n, 2, generator=generator)


def test_it_finds_what_no_mean_tells() -> None:
    router = Trained(network=Mlp((32, 32)), epochs=40, lr=0.01)
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
    router = Trained(network=Cnn((8,), 16), epochs=15, lr=0.01, moves=1)
    known = [(number, describe(router, some[:160])) for number, some in enumerate(worlds)]
    for number, some in enumerate(worlds):
        assert float((route(router, some[160:], known).experts == number).float().mean()) >= 0.95


def test_moved_images_are_the_same_images_elsewhere() -> None:
    image = torch.zeros(1, 1, 7, 7)
    image[0, 0, 3, 3] = 1
    torch.manual_seed(0)
    places = {tuple(_moved(image, 1).nonzero()[0, 2:].tolist()) for _ in range(100)}
    assert places == {(i, j) for i in (2, 3, 4) for j in (2, 3, 4)}
    assert torch.equal(_moved(image, 0), image)
    assert torch.equal(_moved(image.flatten(1), 2), image.flatten(1))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_trains_where_gradients_are_off(mode: type[torch.no_grad]) -> None:
    router = Trained(samples=50, epochs=2, network=Mlp((8,)))
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
        for router in (Trained(epochs=1, seed=1), Trained(epochs=1, seed=1), Trained(epochs=1, seed=2))
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
