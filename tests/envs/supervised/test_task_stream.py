"""The engine: each pass serves every sample of its task once, in chunks that nobody notices."""

from __future__ import annotations

import pytest
import torch

from lifelong_envs.supervised import task_stream
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.datasets import datasets
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated
from lifelong_envs.supervised.timetable import Timetable


def numbered(count: int, name: str = "numbered") -> Arrays:
    """Samples that hold their own number, and twice that as the target."""
    numbers = torch.arange(count).float()[:, None]
    return Arrays(numbers, 2 * numbers, numbers[:3], 2 * numbers[:3], name=name)


def test_each_pass_serves_every_sample_once_with_its_own_target() -> None:
    table = Timetable(epochs=3, batch_size=8)
    batches = [batch for batch, _ in datasets([numbered(37)], table).experiences()]
    assert [len(batch.inputs) for batch in batches] == [8, 8, 8, 8, 5] * 3
    passes = [torch.cat([b.inputs for b in batches[at : at + 5]])[:, 0] for at in (0, 5, 10)]
    for served in passes:
        assert served.sort().values.tolist() == list(range(37))
    assert not torch.equal(passes[0], passes[1])
    assert not torch.equal(passes[1], passes[2])
    assert all(torch.equal(b.targets, 2 * b.inputs) for b in batches)


def test_a_last_batch_of_one_sample_is_served() -> None:
    batches = [batch for batch, _ in datasets([numbered(9)], Timetable(batch_size=4)).experiences()]
    assert [tuple(batch.inputs.shape) for batch in batches] == [(4, 1), (4, 1), (1, 1)]


def test_a_batch_larger_than_the_task_is_all_of_it() -> None:
    stream = datasets([numbered(5)], Timetable(batch_size=100, epochs=2))
    assert [len(batch.inputs) for batch, _ in stream.experiences()] == [5, 5]
    assert [segment.steps for segment in stream.segments] == [2]


@pytest.mark.parametrize("chunk_bytes", [1, 64, 500])
def test_the_size_of_chunks_changes_nothing(chunk_bytes: int, images: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Timetable(order="B A", batch_size=4)
    usual = [batch.inputs for batch, _ in permuted(images, table).experiences()]
    monkeypatch.setattr(task_stream, "_CHUNK_BYTES", chunk_bytes)
    small = [batch.inputs for batch, _ in permuted(images, table).experiences()]
    assert len(small) == len(usual) == 22
    assert all(torch.equal(a, b) for a, b in zip(small, usual, strict=True))


def test_samples_are_a_fixed_subset_that_differs_between_tasks() -> None:
    table = Timetable(order=["one", "two", "one"], epochs=2, batch_size=5, samples=10)
    stream = datasets([numbered(100), numbered(100)], table, names=["one", "two"])
    served: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for batch, truth in stream.experiences():
        served[truth.segment].extend(batch.inputs[:, 0].int().tolist())
    subsets = [(sorted(visit[:10]), sorted(visit[10:])) for visit in served.values()]
    assert all(len(set(first)) == 10 and first == second for first, second in subsets)
    assert subsets[0] == subsets[2]
    assert subsets[0] != subsets[1]


def test_more_samples_than_a_task_has_are_refused() -> None:
    with pytest.raises(ValueError, match="samples=6, but task 'few' has 5 training samples"):
        datasets([numbered(5, "few")], Timetable(samples=6))


def test_training_data_is_neither_copied_per_task_nor_changed(images: Arrays) -> None:
    before = torch.as_tensor(images.train_inputs).clone()
    stream = permuted(images, Timetable(order="A B C B"))
    list(stream.experiences())
    shared = {lesson.train_inputs.data_ptr() for lesson in stream._lessons.values()}
    assert len(shared) == 1
    assert torch.equal(torch.as_tensor(images.train_inputs), before)


def test_prepared_data_is_kept_until_the_last_visit_of_its_task(images: Arrays) -> None:
    stream = rotated(images, Timetable(order="B C B", batch_size=43))
    kept = [set(stream._prepared) for _ in stream.experiences()]
    assert kept == [{"B"}, {"B", "C"}, {"B"}]
    assert not stream._prepared


def test_a_task_that_returns_is_shuffled_anew() -> None:
    stream = datasets([numbered(30)], Timetable(order=["numbered", "numbered"], batch_size=30))
    first, second = (batch.inputs[:, 0] for batch, _ in stream.experiences())
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)
