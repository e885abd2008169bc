"""A visit that takes over bit by bit: samples of the task before become fewer with every batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.timetable import Timetable


def data(count: int = 2000) -> Arrays:
    # The first pixel is lit in every image; a permutation, or a half turn, puts it elsewhere.
    images = torch.zeros(count, 1, 8, 8)
    images[:, 0, 0, 0] = 1.0
    images[:, 0, 3, 4] = torch.arange(count) / count
    targets = torch.arange(count) % 4
    return Arrays(images, targets, images[:40], targets[:40], name="lit")


def of_the_first(inputs: torch.Tensor) -> torch.Tensor:
    return inputs[:, 0, 0, 0] > 0.5


@pytest.mark.parametrize("kind", [permuted, rotated])
def test_the_share_of_the_old_task_falls_in_a_straight_line(kind) -> None:
    stream = kind(data(), Timetable(order="A B", batch_size=50, ramp=20), seed=3)
    shares = [float(of_the_first(batch.inputs).float().mean()) for batch, _ in stream.experiences()]
    assert shares[:40] == [1.0] * 40
    assert shares[60:] == [0.0] * 20
    wanted = 1 - (torch.arange(20) + 1) / 21
    assert (torch.tensor(shares[40:60]) - wanted).abs().max() < 0.25
    assert float(torch.tensor(shares[40:60]).mean()) == pytest.approx(float(wanted.mean()), abs=0.04)


def test_inputs_keep_their_own_targets() -> None:
    stream = permuted(data(), Timetable(order="A B", batch_size=50, ramp=40), seed=3)
    for batch, truth in stream.experiences():
        old = of_the_first(batch.inputs)
        if truth.segment == 1:
            numbers = (batch.inputs[old, 0, 3, 4] * 2000).round().long()
            assert torch.equal(numbers % 4, batch.targets[old])


def test_without_a_ramp_tasks_change_at_once() -> None:
    sharp, ramped = (permuted(data(), Timetable(order="A B", batch_size=50, ramp=ramp)) for ramp in (0, 10))
    first, second = list(sharp.experiences()), list(ramped.experiences())
    equal = [torch.equal(a.inputs, b.inputs) for (a, _), (b, _) in zip(first, second, strict=True)]
    assert equal == [True] * 40 + [False] * 10 + [True] * 30


def test_tasks_that_ask_different_questions_cannot_fade_into_each_other() -> None:
    from lifelong_envs.supervised.class_split import class_split

    with pytest.raises(ValueError, match="ramp=10 mixes samples"):
        class_split(data(), Timetable(ramp=10), Scenario(labels="judging"), groups=[[0, 1], [2, 3]])
    with pytest.raises(ValueError, match="ramp must be 0"):
        Timetable(ramp=-1)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_ramp_is_no_longer_than_the_visit(epochs: int) -> None:
    # 2,000 samples are 40 batches of 50.
    table = Timetable(order="A B", batch_size=50, epochs=epochs, ramp=40 * epochs)
    *_, (last, _) = permuted(data(), table).experiences()
    assert not of_the_first(last.inputs).all()
    for ramp in (40 * epochs + 1, 1000):
        said = (
            rf"ramp={ramp} batches, but a visit to task 'B' has {40 * epochs}: .* Set ramp to {40 * epochs} at most, or"
        )
        with pytest.raises(ValueError, match=said):
            permuted(data(), replace(table, ramp=ramp))
    # The first visit takes over from nobody.
    assert len(permuted(data(), Timetable(order="A", batch_size=50, ramp=1000)).segments) == 1
