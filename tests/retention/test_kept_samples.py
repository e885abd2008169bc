from __future__ import annotations

import pytest
import torch
from toys import CONTRACT, batches

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.episodes import Episodes
from lifelong.retention.memory import Balance, Memory


def numbered(first: int, count: int, classes: int = 4, contract: Contract | None = None) -> Batch:
    """Samples that say which they are; class is number modulo `classes`."""
    numbers = torch.arange(first, first + count)
    return Batch(numbers[:, None].float(), numbers % classes, contract or Contract((1,), classes, Classification()))


def who(memory: Memory) -> list[int]:
    return [int(n) for batch, _ in memory.all() for n in batch.inputs.flatten().tolist()]


def test_every_sample_of_the_past_is_kept_with_the_same_chance() -> None:
    """Chi-square over 400 lives of a memory of 10 that was shown 100: 99 degrees of freedom, 0.1 % at 148."""
    counts = torch.zeros(100)
    for seed in range(400):
        memory = Memory(10, seed=seed)
        for first in range(0, 100, 7):
            memory.add(numbered(first, min(7, 100 - first)))
        kept = who(memory)
        assert len(kept) == len(set(kept)) == len(memory) == 10
        counts[kept] += 1
    assert float(((counts - 40) ** 2 / 36).sum()) < 148


def test_classes_get_equal_room_however_rare_they_are() -> None:
    memory = Memory(12, balance="class", seed=1)
    rare = Contract((1,), 3, Classification())
    memory.add(Batch(torch.arange(500.0)[:, None], torch.zeros(500, dtype=torch.int64), rare))
    memory.add(Batch(torch.arange(500.0, 504.0)[:, None], torch.ones(4, dtype=torch.int64), rare))
    memory.add(Batch(torch.arange(504.0, 900.0)[:, None], torch.full((396,), 2), rare))
    ((batch, _),) = memory.all()
    assert batch.targets.bincount().tolist() == [4, 4, 4]


def test_a_class_is_a_uniform_draw_of_its_own_past() -> None:
    counts = torch.zeros(80)
    for seed in range(400):
        memory = Memory(16, balance="class", seed=seed)
        for first in range(0, 80, 10):
            memory.add(numbered(first, 10, classes=2))
        counts[who(memory)] += 1
    assert float(((counts - 80) ** 2 / 64).sum()) < 125


def test_draws_are_without_repetition_and_carry_their_columns() -> None:
    memory = Memory(20, seed=0)
    batch = numbered(0, 20)
    memory.add(batch, batch.inputs * 10)
    drawn, (column,) = memory.draw(8)[0]
    assert len(set(drawn.inputs.flatten().tolist())) == 8
    assert torch.equal(column, drawn.inputs * 10)
    assert len(memory.draw(50)[0][0].targets) == 20


def test_kinds_share_the_room_and_are_given_back_apart() -> None:
    memory = Memory(30, seed=0)
    images, table = numbered(0, 200), batches(0, 20, 10)
    for part, other in zip(images.inputs.split(10), table, strict=True):
        memory.add(Batch(part, part.flatten().long() % 4, images.contract, "images"))
        memory.add(other)
    found = {batch.task: batch for batch, _ in memory.all()}
    assert {task: batch.contract for task, batch in found.items()} == {"images": images.contract, None: CONTRACT}
    assert sum(len(batch.targets) for batch in found.values()) == 30
    assert min(len(batch.targets) for batch in found.values()) > 5


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("capacity", [9, 20, 47, 64, 100])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_classes_are_as_old_as_their_past_whatever_the_room(capacity: int, classes: int, later: bool) -> None:
    """Each kept sample's place in the past of its class has the mean of a uniform draw, within four deviations.

    later: one class more comes with each stretch of the first half.
    """
    contract, numbers = Contract((1,), classes, Classification()), torch.arange(1000)
    places: list[float] = []
    for seed in range(3):
        known = (numbers * 2 * classes // 1000 + 1).clamp_max(classes) if later else classes
        random = torch.Generator().manual_seed(seed)
        labels = (torch.rand(1000, generator=random) * known).long()
        memory = Memory(capacity, "class", seed)
        for some in numbers.split(25):
            memory.add(Batch(some[:, None].float(), labels[some], contract))
        ((kept, _),) = memory.all()
        sizes = kept.targets.bincount(minlength=classes)
        assert len(memory) == capacity
        assert int(sizes.max() - sizes.min()) <= 1
        for number, label in zip(kept.inputs.flatten().long().tolist(), kept.targets.tolist(), strict=True):
            mine = labels == label
            places.append((int(mine[:number].sum()) + 0.5) / int(mine.sum()))
    assert abs(sum(places) / len(places) - 0.5) < 4 * (12 * len(places)) ** -0.5


def test_what_is_taken_back_is_gone_and_who_left_for_it_stays_away() -> None:
    memory = Memory(10, seed=5)
    memory.add(numbered(0, 8))
    memory.add(numbered(100, 40))
    left = [number for number in who(memory) if number < 8]
    memory.retract(40)
    assert who(memory) == left
    memory.add(numbered(8, 200))
    assert len(memory) == 10
    assert all(number < 208 for number in who(memory))


def test_a_class_that_was_taken_back_as_a_whole_begins_anew() -> None:
    memory, contract = Memory(10, "class", seed=1), Contract((1,), 2, Classification())
    memory.add(Batch(torch.arange(30.0)[:, None], torch.zeros(30, dtype=torch.int64), contract))
    memory.add(Batch(torch.arange(30.0, 80.0)[:, None], torch.ones(50, dtype=torch.int64), contract))
    memory.retract(50)
    assert len(memory) == 5
    memory.add(Batch(torch.arange(30.0, 34.0)[:, None], torch.ones(4, dtype=torch.int64), contract))
    assert {30, 31, 32, 33} <= set(who(memory))


@pytest.mark.parametrize("balance", ["reservoir", "class"])
def test_a_draw_stays_uniform_when_batches_are_taken_back(balance: Balance) -> None:
    """Chi-square over what was not taken back, as above: those from before and from after are kept as often."""
    lives, counts = 300, torch.zeros(80)
    for seed in range(lives):
        memory = Memory(15, balance, seed)
        for first in (0, 20, 1000, 1020, 40, 60):
            memory.add(numbered(first, 20, classes=2))
            if first == 1020:
                memory.retract(40)
        counts[who(memory)] += 1
    share = float(counts.mean()) / lives
    assert 0.14 < share <= 15 / 80
    assert float(((counts - lives * share) ** 2 / (lives * share * (1 - share))).sum()) < 125


@pytest.mark.parametrize("balance", ["reservoir", "class"])
def test_a_restored_memory_goes_on_to_the_bit(balance: Balance) -> None:
    memory = Memory(10, balance, seed=3)
    memory.add(numbered(0, 25))
    memory.add(numbered(1000, 9))
    memory.retract(9)
    other = Memory(10, balance, seed=99)
    other.load_state_dict(memory.state_dict())
    for life in (memory, other):
        life.add(numbered(25, 50))
    assert who(memory) == who(other)
    assert torch.equal(memory.draw(4)[0][0].inputs, other.draw(4)[0][0].inputs)


def test_stored_counts_samples_and_their_bytes() -> None:
    memory = Memory(10)
    memory.add(numbered(0, 25), torch.zeros(25, 4))
    assert (memory.stored().samples, memory.stored().bytes) == (10, 10 * (4 + 8 + 16))


def test_tasks_that_ended_share_the_room_equally() -> None:
    episodes = Episodes(12, seed=0)
    for task in range(3):
        episodes.add([numbered(100 * task, 30), numbered(100 * task + 30, 30)])
    kept = [[n for batch in task for n in batch.inputs.flatten().tolist()] for task in episodes.tasks]
    assert [len(numbers) for numbers in kept] == [4, 4, 4]
    assert all(100 * task <= n < 100 * task + 60 for task, numbers in enumerate(kept) for n in numbers)
    assert sum(len(batch.targets) for batch in episodes.draw(5)) == 5
    crowded = Episodes(2, 0)
    crowded.add([numbered(0, 3)])
    crowded.add([numbered(3, 3)])
    with pytest.raises(ValueError, match="larger capacity"):
        crowded.add([numbered(6, 3)])
    assert (len(crowded.tasks), crowded.stored().samples) == (2, 2)


@pytest.mark.parametrize("make", [lambda: Memory(0), lambda: Episodes(0, 0), lambda: Memory(3, "fair")])  # type: ignore[arg-type]
def test_nonsense_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"got"):
        make()
