"""What a memory looks at: rows that a layer's weight really multiplies, a fair sample of all that passed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from lifelong.subspace import gpm
from lifelong.subspace.gpm import GradientProjectionMemory


@pytest.fixture(autouse=True)
def a_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), ((2, 1), (0, 1), (1, 2))])
def test_rows_times_the_weight_are_the_convolution(
    bias: bool, stride: int | tuple[int, int], padding: int | tuple[int, int], dilation: int | tuple[int, int]
) -> None:
    layer = nn.Conv2d(3, 5, (3, 2), stride=stride, padding=padding, dilation=dilation, bias=bias)
    inputs = torch.randn(4, 3, 9, 10)
    weight = layer.weight.flatten(1)
    if layer.bias is not None:
        weight = torch.cat([weight, layer.bias[:, None]], dim=1)
    outputs = layer(inputs)
    wanted = outputs.permute(0, 2, 3, 1).flatten(0, 2)
    assert torch.allclose(gpm._rows(layer, inputs) @ weight.T, wanted, atol=1e-5)


def test_rows_of_a_linear_layer_are_its_inputs_at_every_position() -> None:
    layer, inputs = nn.Linear(6, 3), torch.randn(4, 5, 6)
    rows = gpm._rows(layer, inputs)
    weight = torch.cat([layer.weight, layer.bias[:, None]], dim=1)
    assert torch.allclose(rows @ weight.T, layer(inputs).flatten(0, 1), atol=1e-6)


def test_images_for_a_basis_are_taken_from_the_whole_batch() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    numbers = torch.arange(200.0).view(200, 1, 1, 1)
    rows = gpm._rows(layer, numbers).flatten().tolist()
    assert len(rows) <= 64
    assert rows == list(range(0, 200, 4))


def test_early_batches_are_not_crowded_out_by_later_ones() -> None:
    layer = nn.Linear(40, 3, bias=False)

    def forward() -> None:
        for direction in torch.eye(40):
            layer(direction.expand(500, 40))

    (growth,) = GradientProjectionMemory(energy=1.0, samples=500).consolidate([("net", layer)], forward)
    assert growth.rank == 40


def test_every_position_of_an_image_is_looked_at() -> None:
    # Each of the 8x8 positions lights a channel of its own, in every image alike.
    layer, image = nn.Conv2d(64, 3, 1, bias=False), torch.eye(64).view(1, 64, 8, 8)

    def forward() -> None:
        for _ in range(20):
            layer(image.expand(64, 64, 8, 8))

    (growth,) = GradientProjectionMemory(energy=1.0, samples=1000).consolidate([("net", layer)], forward)
    assert growth.rank == 64


def test_what_is_looked_at_is_a_matter_of_chance_that_is_always_the_same() -> None:
    layer, inputs = nn.Linear(40, 3, bias=False), torch.randn(500, 40)
    parts, state = [("net", layer)], torch.random.get_rng_state()
    memories = [GradientProjectionMemory(energy=0.9, samples=50) for _ in range(2)]
    for memory in memories:
        memory.consolidate(parts, lambda: layer(inputs))
    one, other = (memory.state_dict()["bases"]["net"]["kept"] for memory in memories)
    assert torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_no_more_rows_are_kept_than_asked_for() -> None:
    layer = nn.Linear(40, 3, bias=False)
    memory = GradientProjectionMemory(energy=1.0, samples=10)
    (growth,) = memory.consolidate([("net", layer)], lambda: [layer(torch.randn(32, 40)) for _ in range(5)])
    assert growth.rank == 10
