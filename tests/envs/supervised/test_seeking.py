"""Laws that every supervised stream keeps: seeking, determinism, accounting, and telling no more than
agreed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from lifelong.experience import Batch, Truth
from lifelong.stream import Stream
from lifelong_envs.supervised.class_split import class_split
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.datasets import datasets
from lifelong_envs.supervised.label_permuted import label_permuted
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.timetable import Timetable

Maker = Callable[[Arrays, Timetable, Scenario, int], Stream]

STREAMS: dict[str, Maker] = {
    "permuted": lambda data, table, scenario, seed: permuted(data, table, scenario, tasks=3, seed=seed),
    "rotated": lambda data, table, scenario, seed: rotated(data, table, scenario, tasks=3, seed=seed),
    "class_split": lambda data, table, scenario, seed: class_split(
        data, table, scenario, groups=[[0, 1], [2, 3], [1, 2]], seed=seed
    ),
    "label_permuted": lambda data, table, scenario, seed: label_permuted(data, table, scenario, tasks=3, seed=seed),
    "datasets": lambda data, table, scenario, seed: datasets(
        [data, data, data], table, scenario, names=["A", "B", "C"], seed=seed
    ),
}

RECURRING = Timetable(order="A B A C B", epochs=2, batch_size=6)
RAMPED = Timetable(order="A B A B", epochs=2, batch_size=5, ramp=7)
SAMPLED = Timetable(order="A B A C B", epochs=3, batch_size=4, samples=13)

every_stream = pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())


def assert_equal(left: Sequence[tuple[Batch, Truth]], right: Sequence[tuple[Batch, Truth]]) -> None:
    assert len(left) == len(right)
    for (a, truth_a), (b, truth_b) in zip(left, right, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
        assert (a.contract, a.task, a.boundary, a.ends, truth_a) == (b.contract, b.task, b.boundary, b.ends, truth_b)


def content(stream: Stream) -> torch.Tensor:
    return torch.cat([batch.inputs.flatten() for batch, _ in stream.experiences()])


@every_stream
@pytest.mark.parametrize("table", [RECURRING, SAMPLED, RAMPED], ids=["all_samples", "some_samples", "ramped"])
def test_starting_late_equals_skipping_from_any_step_on(make: Maker, table: Timetable, images: Arrays) -> None:
    scenario = Scenario(labels="training", boundaries="shown")
    whole = list(make(images, table, scenario, 3).experiences())
    for start in range(len(whole) + 1):
        # A fresh stream, so that nothing prepared by an earlier walk can help.
        assert_equal(list(make(images, table, scenario, 3).experiences(start)), whole[start:])


@every_stream
def test_two_walks_of_one_stream_are_equal(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(), 3)
    assert_equal(list(stream.experiences()), list(stream.experiences()))


@every_stream
def test_two_walks_at_the_same_time_do_not_disturb_each_other(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(), 3)
    alone = list(stream.experiences())
    pairs = list(zip(stream.experiences(), stream.experiences(), strict=True))
    assert_equal([first for first, _ in pairs], alone)
    assert_equal([second for _, second in pairs], alone)


@every_stream
def test_the_same_seed_gives_the_same_stream_and_another_seed_another(make: Maker, images: Arrays) -> None:
    torch.manual_seed(0)
    first = content(make(images, RECURRING, Scenario(), 3))
    torch.manual_seed(1)
    assert torch.equal(content(make(images, RECURRING, Scenario(), 3)), first)
    assert not torch.equal(content(make(images, RECURRING, Scenario(), 4)), first)


@every_stream
def test_the_global_random_state_is_not_touched(make: Maker, images: Arrays) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    list(make(images, SAMPLED, Scenario(), 3).experiences())
    assert torch.equal(torch.get_rng_state(), before)


@every_stream
def test_segments_account_for_every_experience(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(), 3)
    served = [truth for _, truth in stream.experiences()]
    told = [Truth(s.task, n) for n, s in enumerate(stream.segments) for _ in range(s.steps)]
    assert served == told
    assert [s.task for s in stream.segments] == ["A", "B", "A", "C", "B"]
    assert [task.name for task in stream.tasks] == ["A", "B", "C"]


@every_stream
def test_a_hidden_scenario_shows_no_difference_between_tasks(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(), 3)
    shown = {(batch.contract, batch.task, batch.boundary, batch.ends) for batch, _ in stream.experiences()}
    judged = {(task.contract, task.label) for task in stream.tasks}
    assert len(shown) == 1
    assert len(judged) == 1
    ((contract, task, boundary, ends),) = shown
    assert judged == {(contract, None)}
    assert (task, boundary, ends, contract.mask, contract.own_head) == (None, False, False, None, False)


@every_stream
def test_labels_in_training_are_not_told_in_judging(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(labels="training"), 3)
    assert all(batch.task == truth.task for batch, truth in stream.experiences())
    assert {(task.label, task.contract.mask) for task in stream.tasks} == {(None, None)}


@every_stream
def test_labels_in_judging_are_told_in_training_too(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(labels="judging"), 3)
    assert all(batch.task == truth.task for batch, truth in stream.experiences())
    assert [task.label for task in stream.tasks] == ["A", "B", "C"]


@every_stream
@pytest.mark.parametrize("table", [RECURRING, SAMPLED, RAMPED], ids=["all_samples", "some_samples", "ramped"])
def test_boundaries_are_shown_on_the_first_and_last_batch_of_each_visit(
    make: Maker, table: Timetable, images: Arrays
) -> None:
    stream = make(images, table, Scenario(boundaries="shown"), 3)
    starts = [0]
    for segment in stream.segments:
        starts.append(starts[-1] + segment.steps)
    shown = [step for step, (batch, _) in enumerate(stream.experiences()) if batch.boundary]
    assert shown == starts[:-1]
    ended = [step for step, (batch, _) in enumerate(stream.experiences()) if batch.ends]
    assert ended == [start - 1 for start in starts[1:]]


@every_stream
def test_who_hides_boundaries_hides_ends_whatever_else_is_told(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(labels="judging", head="per_task"), 3)
    assert not any(batch.boundary or batch.ends for batch, _ in stream.experiences())


@every_stream
def test_a_head_per_task_is_said_in_every_contract(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(labels="judging", head="per_task"), 3)
    assert all(batch.contract.own_head for batch, _ in stream.experiences())
    assert all(task.contract.own_head for task in stream.tasks)


@every_stream
def test_batches_carry_the_contract_of_their_task(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(labels="judging"), 3)
    contracts = {task.name: task.contract for task in stream.tasks}
    for batch, truth in stream.experiences():
        assert batch.contract == contracts[truth.task]
        assert batch.inputs.shape[1:] == batch.contract.input_shape
        assert batch.inputs.dtype == torch.float32


@every_stream
def test_it_is_a_stream_and_says_its_name(make: Maker, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(), 3)
    assert isinstance(stream, Stream)
    assert stream.name.split()[0] in ("permuted", "rotated", "class-split", "label-permuted", "datasets")


@every_stream
@pytest.mark.parametrize("start", [-1, 10_000])
def test_a_start_outside_the_stream_is_refused_at_once(make: Maker, start: int, images: Arrays) -> None:
    stream = make(images, RECURRING, Scenario(), 3)
    steps = sum(segment.steps for segment in stream.segments)
    with pytest.raises(ValueError, match=rf"has {steps} steps, it cannot start at step {start}\."):
        stream.experiences(start)
