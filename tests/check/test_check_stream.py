"""Every law of streams lets a good one pass and catches the one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch

from lifelong.check import LawBroken, check_stream
from lifelong.experience import Batch, Truth
from lifelong.objective import Classification, Contract, MultiLabel
from lifelong.stream import Segment, Task

CONTRACT = Contract((3,), 4, Classification())
Item = tuple[Batch, Truth]


def contract_of(task: str, labels: bool) -> Contract:
    return replace(CONTRACT, mask=(0, 1) if task == "A" else (2, 3)) if labels else CONTRACT


def tasks_of(labels: bool) -> list[Task]:
    return [
        Task(t, contract_of(t, labels), torch.zeros(5, 3), torch.full((5,), 2 * n), t if labels else None)
        for n, t in enumerate("AB")
    ]


def item(step: int, labels: bool) -> Item:
    segment, task = (0, "A") if step < 4 else (1, "B") if step < 7 else (2, "A")
    inputs = torch.randn(6, 3, generator=torch.Generator().manual_seed(step))
    targets = torch.arange(6) % 2 + (2 if task == "B" else 0)
    begins, ends = labels and step in (4, 7), labels and step in (3, 6, 10)
    batch = Batch(inputs, targets, contract_of(task, labels), task if labels else None, begins, ends)
    return batch, Truth(task, segment)


@dataclass
class Planted:
    """A good stream, A B A in 4, 3 and 4 steps, of which a test may replace one part by a bad one."""

    labels: bool = False
    tasks: Sequence[Task] = ()
    segments: Sequence[Segment] = (Segment("A", 4), Segment("B", 3), Segment("A", 4))
    bend: Callable[[int, Item], Item] = lambda step, found: found
    name: str = "planted"
    length: int = 11

    def __post_init__(self) -> None:
        self.tasks = self.tasks or tasks_of(self.labels)

    def experiences(self, start: int = 0) -> Iterator[Item]:
        for step in range(start, self.length):
            yield self.bend(step, item(step, self.labels))


@dataclass
class Odd(Planted):
    """A good stream whose walks go wrong in a way of their own."""

    walk: Callable[[int], Iterator[Item]] = field(default=lambda start: iter(()))

    def experiences(self, start: int = 0) -> Iterator[Item]:
        return self.walk(start)


def with_batch(**changes: object) -> Callable[[int, Item], Item]:
    return lambda step, found: (replace(found[0], **changes), found[1]) if step == 5 else found  # type: ignore[arg-type]


def good(start: int) -> Iterator[Item]:
    return (item(step, False) for step in range(start, 11))


def from_global_generator(start: int) -> Iterator[Item]:
    return ((replace(b, inputs=torch.randn(6, 3)), t) for b, t in good(start))


def from_one_generator() -> Callable[[int], Iterator[Item]]:
    """Batches that depend on how many were drawn before, not on their step."""

    def walk(start: int) -> Iterator[Item]:
        generator = torch.Generator().manual_seed(0)
        return ((replace(b, inputs=torch.randn(6, 3, generator=generator)), t) for b, t in good(start))

    return walk


def ends_where_it_began(start: int) -> Iterator[Item]:
    """Ends that are there in a whole walk alone."""
    return ((b if not start else replace(b, ends=False), t) for b, t in (item(step, True) for step in range(start, 11)))


def from_shared_place() -> Callable[[int], Iterator[Item]]:
    """All walks move one counter."""
    at = [0]

    def walk(start: int) -> Iterator[Item]:
        at[0] = start
        while at[0] < 11:
            at[0] += 1
            yield item(at[0] - 1, False)

    return walk


@pytest.mark.parametrize("labels", [False, True])
def test_a_good_stream_passes(labels: bool) -> None:
    check_stream(Planted(labels))


def test_the_global_generators_are_left_alone() -> None:
    before = torch.get_rng_state()
    check_stream(Planted())
    assert torch.equal(before, torch.get_rng_state())


A, B = tasks_of(False)


@pytest.mark.parametrize(
    ("law", "culprit"),
    [
        ("names of their own", Planted(tasks=[A, B, A])),
        ("order of their first appearance", Planted(tasks=[B, A])),
        ("segments have steps", Planted(segments=(Segment("A", 0), Segment("B", 1)))),
        ("lengths of segments", Planted(segments=(Segment("A", 4), Segment("B", 3), Segment("A", 5)))),
        ("the truth beside", Planted(segments=(Segment("A", 4), Segment("B", 3), Segment("A", 3)))),
        ("the truth beside", Planted(bend=lambda step, found: (found[0], Truth("A", 0)))),
        ("fits its contract", Planted(tasks=[replace(A, test_inputs=torch.zeros(5, 2)), B])),
        ("fits its contract", Planted(tasks=[replace(A, test_targets=torch.full((5,), 4)), B])),
        ("fits its contract", Planted(bend=with_batch(inputs=torch.zeros(6, 2)))),
        ("fits its contract", Planted(bend=with_batch(targets=torch.full((6,), -1)))),
        ("fits its contract", Planted(bend=with_batch(targets=torch.zeros(6, 4, 2)))),
        ("fits its contract", Planted(True, bend=with_batch(targets=torch.zeros(6, dtype=torch.int64)))),
        ("carry its contract", Planted(bend=with_batch(contract=Contract((3,), 4, MultiLabel())))),
        ("true task's name", Planted(True, bend=with_batch(task="A"))),
        ("labels in training are shown always or never", Planted(True, bend=with_batch(task=None))),
        ("labels in judging are shown always or never", Planted(tasks=[replace(A, label="A"), B])),
        ("a label in judging is the task's name", Planted(tasks=[A, replace(B, label="b")])),
        ("hides them in judging", Planted(tasks=[replace(A, label="A"), replace(B, label="B")])),
        ("a boundary begins a segment", Planted(bend=with_batch(boundary=True))),
        ("boundaries are shown always or never", Planted(
            bend=lambda step, found: (replace(found[0], boundary=step == 7), found[1]))),
        ("an end ends a segment", Planted(True, bend=with_batch(ends=True))),
        ("ends are shown always or never", Planted(
            True, bend=lambda step, found: (replace(found[0], ends=step in (3, 6)), found[1]))),
        ("hides where they end", Planted(
            bend=lambda step, found: (replace(found[0], ends=step in (3, 6, 10)), found[1]))),
        ("hides where they end", Planted(
            segments=[Segment("A", 4)], tasks=[A], length=4,
            bend=lambda step, found: (replace(found[0], ends=step == 3), found[1]))),
        (r"experiences\(\d+\) is the tail", Odd(True, walk=ends_where_it_began)),
        ("a mask tells the task", Planted(
            tasks=[replace(t, label=None) for t in tasks_of(True)],
            bend=lambda step, found: (replace(item(step, True)[0], task=None, boundary=False, ends=False), found[1]))),
        ("whatever the global seeds", Odd(walk=from_global_generator)),
        (r"experiences\(\d+\) is the tail", Odd(walk=from_one_generator())),
        (r"experiences\(\d+\) is the tail", Odd(walk=lambda start: good(0))),
        (r"experiences\(\d+\) is the tail", Odd(walk=lambda start: good(start // 2 * 2))),
        (r"experiences\(\d+\) is the tail", Odd(walk=lambda start: good(min(start, 10)))),
        ("two walks at once", Odd(walk=from_shared_place())),
    ],
)  # fmt: skip
def test_each_law_catches_its_culprit(law: str, culprit: Planted) -> None:
    with pytest.raises(LawBroken, match=law) as caught:
        check_stream(culprit)
    assert isinstance(caught.value, ValueError)
    assert f"expected {caught.value.expected}, saw {caught.value.seen}." in str(caught.value)
