"""Real images: what a watch with its defaults finds, within ten batches, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from unlabelled_worlds import ALL, Make, draw

from lifelong.shift.unlabelled.entropy import Entropy
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong_envs.supervised.data import Digits
from lifelong_envs.supervised.label_permuted import label_permuted
from lifelong_envs.supervised.rotated import Rotation
from lifelong_envs.supervised.timetable import Timetable

DATA = Digits().load(torch.device("cpu"))

CALM = 60
SEEDS = range(10)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A network that has learned the digits as they are."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer, generator = torch.optim.Adam(made.parameters(), lr=3e-3), draw(0)
        for _ in range(300):
            rows = torch.randint(len(DATA.train_inputs), (64,), generator=generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(made(DATA.train_inputs[rows]), DATA.train_targets[rows]).backward()
            optimizer.step()
    return made


def permuted(images: Tensor, seed: int) -> Tensor:
    order = torch.randperm(64, generator=draw(seed))
    return images.flatten(1)[:, order].view(images.shape)


CHANGES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "permuted": permuted,
    "rotated by 45": lambda images, _: Rotation(45.0)(images),
    "rotated by 90": lambda images, _: Rotation(90.0)(images),
}


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("change", CHANGES)
def test_nineteen_of_twenty_shifts_are_found_within_ten_batches(make: Make, change: str, model: nn.Module) -> None:
    # A network is surer of these digits lying on their side (0.07 nats) than of those that it learned (0.23).
    blind = make is Entropy and change == "rotated by 90"
    found = []
    for seed in SEEDS:
        watch, generator = Unlabelled(make()), draw(seed)

        def shown(batch: Tensor, watch: Unlabelled = watch) -> bool:
            with torch.no_grad():
                return watch.update(batch, model(batch)) is not None

        def drawn(generator: torch.Generator = generator) -> Tensor:
            return DATA.train_inputs[torch.randint(len(DATA.train_inputs), (32,), generator=generator)]

        assert [shown(drawn()) for _ in range(CALM)] == [False] * CALM
        found.append(any(shown(CHANGES[change](drawn(), seed)) for _ in range(10)))
    assert not any(found) if blind else sum(found) >= 0.95 * len(SEEDS)


@pytest.mark.parametrize("make", ALL)
def test_other_labels_for_the_same_inputs_are_no_shift(make: Make, model: nn.Module) -> None:
    watch = Unlabelled(make())
    for batch, _ in label_permuted(Digits(), Timetable("A B C A", epochs=3)).experiences():
        with torch.no_grad():
            assert watch.update(batch.inputs, model(batch.inputs)) is None


@pytest.mark.parametrize("make", ALL)
def test_the_way_back_to_what_a_model_knows_is_seen_in_inputs_alone(make: Make, model: nn.Module) -> None:
    watch, generator = Unlabelled(make()), draw(0)
    turned, found = Rotation(45.0)(DATA.train_inputs), []
    for step in range(CALM + 10):
        images = turned if step < CALM else DATA.train_inputs
        rows = images[torch.randint(len(images), (32,), generator=generator)]
        with torch.no_grad():
            found.append(watch.update(rows, model(rows)) is not None)
    assert not any(found[:CALM])
    assert any(found[CALM:]) == (make is not Entropy)
