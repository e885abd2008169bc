"""The beginning of a stream, judged on samples that nobody learned."""

from __future__ import annotations

import pytest
import torch
from toys import toy_stream

from lifelong.check import check_stream
from lifelong.experience import Batch
from lifelong.stream import EnvTask, Task
from lifelong.tuning.first import First
from lifelong_envs.rl.cartpole_flip import cartpole_flip


def rows(inputs: torch.Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in inputs}


def test_it_ends_where_it_shall_and_knows_no_later_task() -> None:
    stream = toy_stream("A B C A", steps=20)
    first = First(stream, 2, held_out=0.0)
    assert [segment.task for segment in first.segments] == ["A", "B"]
    assert list(first.tasks) == list(stream.tasks)[:2]
    mine = list(first.experiences())
    assert len(mine) == sum(segment.steps for segment in stream.segments[:2])
    for (experience, truth), (other, its) in zip(mine, stream.experiences(), strict=False):
        assert truth == its
        assert torch.equal(experience.inputs, other.inputs)
    assert len(list(first.experiences(len(mine)))) == 0
    assert truth.task == "B"


def test_what_is_judged_on_is_never_learned_and_all_else_is() -> None:
    stream = toy_stream("A B A C", steps=20)
    first = First(stream, 3, held_out=0.25)
    for task in first.tasks:
        assert isinstance(task, Task)
        learned = set().union(*(rows(e.inputs) for e, truth in first.experiences() if truth.task == task.name))
        every = set().union(
            *(rows(e.inputs) for e, truth in list(stream.experiences())[:60] if truth.task == task.name)
        )
        judged = rows(task.test_inputs)
        assert judged
        assert not judged & learned
        assert judged | learned == every
        assert len(judged) / len(every) == pytest.approx(0.25, abs=0.08)
        # Nothing of the test set.
        test = next(other for other in stream.tasks if other.name == task.name)
        assert not judged & rows(test.test_inputs)


def test_targets_stay_with_their_samples() -> None:
    stream = toy_stream("A", steps=20)
    (task,) = First(stream, 1, held_out=0.2).tasks
    known = {
        row.numpy().tobytes(): y for e, _ in stream.experiences() for row, y in zip(e.inputs, e.targets, strict=True)
    }
    assert [known[row.numpy().tobytes()] for row in task.test_inputs] == task.test_targets.tolist()


def test_it_keeps_the_law_of_streams() -> None:
    check_stream(First(toy_stream("A B A", steps=8), 2))


def test_a_batch_that_would_be_empty_stays_and_is_not_judged_on() -> None:
    stream = toy_stream("A", steps=60)
    first = First(stream, 1, held_out=0.9)
    lengths = [len(e.targets) for e, _ in first.experiences() if isinstance(e, Batch)]
    assert len(lengths) == 60
    assert min(lengths) >= 1
    # With nine tenths held out, about every sixth batch of 16 has nobody left.
    assert lengths.count(16) > 3
    learned = set().union(*(rows(e.inputs) for e, _ in first.experiences()))
    assert not learned & rows(first.tasks[0].test_inputs)


@pytest.mark.parametrize(
    ("segments", "held_out", "told"),
    [(0, 0.1, "from 1 to the 3"), (4, 0.1, "from 1 to the 3"), (1, 1.0, "below 1"), (1, 1e-4, "no training sample")],
)
def test_what_cannot_be_is_refused(segments: int, held_out: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        First(toy_stream("A B A", steps=4), segments, held_out)


def test_worlds_are_judged_as_ever() -> None:
    stream = cartpole_flip()
    first = First(stream, 1)
    assert [task.name for task in first.tasks] == [stream.segments[0].task]
    assert isinstance(first.tasks[0], EnvTask)
    assert first.state_dict()["stream"] == stream.state_dict()
