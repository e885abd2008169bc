"""The engine of supervised streams: lessons served in the order of a timetable, fast, from any step on.

Shapes: N training samples, B samples in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lifelong.experience import Batch, Truth
from lifelong.objective import Contract
from lifelong.stream import Segment, Task
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.seeding import generator
from lifelong_envs.supervised.timetable import Timetable

_CHUNK_BATCHES = 64
# Larger chunks fall out of the CPU's cache before they are learned from: 4 MiB cost 8 % of a step at batch 128.
_CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One distinct task of a stream: its training samples (N, ...) and its test samples, all on one device.

    Training tensors may be shared by lessons: `rows` (int64, on the CPU) says which samples are this task's
    (None: all). `on_chunk` is a cheap change made to gathered inputs; `prepare` a dear one, made once to all
    of the task's inputs when the task is visited. Test samples are given as the task has them, changed
    already.
    """

    name: str
    contract: Contract
    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    rows: Tensor | None = None
    on_chunk: Callable[[Tensor], Tensor] | None = None
    prepare: Callable[[Tensor], Tensor] | None = None


class TaskStream:
    """A stream of visits to lessons; the same settings and seed give the same stream on every device.

    Batches are views of a gathered chunk of some 64 batches: one that is kept for long should be cloned, or
    it keeps its chunk in memory. `lessons` are named differently; those that the timetable does not visit
    are left out. Raises ValueError where the order names an unknown task, or a task has fewer training
    samples than the timetable asks for, or too few for its ramp.
    """

    def __init__(
        self, name: str, lessons: Sequence[Lesson], timetable: Timetable, scenario: Scenario, seed: int
    ) -> None:
        known = {lesson.name: lesson for lesson in lessons}
        assert len(known) == len(lessons), "lessons must be named differently"
        self._name = name
        self._lessons = known
        self._timetable = timetable
        self._scenario = scenario
        self._seed = seed
        self._visits = timetable.visits(tuple(known))
        visited = timetable.visited(tuple(known))
        self._rows = {name: _rows(known[name], timetable.samples, seed) for name in visited}
        self._prepared: dict[str, tuple[Tensor, Tensor]] = {}
        self._tasks = tuple(self._task(known[name]) for name in visited)
        if timetable.ramp and len({known[name].contract for name in visited}) > 1:
            raise ValueError(
                f"timetable: ramp={timetable.ramp} mixes samples of two tasks in one batch, but the tasks of {name!r} "
                "do not ask the same question of the same kind of input. Set ramp to 0."
            )
        self._segments = tuple(Segment(name, timetable.epochs * self._batches(name)) for name in self._visits)
        for segment in self._segments[1:]:
            if timetable.ramp > segment.steps:
                raise ValueError(
                    f"timetable: ramp={timetable.ramp} batches, but a visit to task {segment.task!r} has "
                    f"{segment.steps}: the ramp would never get there. Set ramp to {segment.steps} at most, or raise "
                    "epochs or samples."
                )

    @property
    def name(self) -> str:
        return self._name

    @property
    def tasks(self) -> Sequence[Task]:
        """The distinct tasks in order of their first appearance."""
        return self._tasks

    @property
    def segments(self) -> Sequence[Segment]:
        """One segment a visit."""
        return self._segments

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        """Experiences from step `start` (0-based) on. Raises ValueError where it lies outside the stream."""
        total = sum(segment.steps for segment in self._segments)
        if not 0 <= start <= total:
            raise ValueError(f"The stream {self.name!r} has {total} steps, it cannot start at step {start}.")
        return self._from(start)

    def _from(self, start: int) -> Iterator[tuple[Batch, Truth]]:
        for visit, segment in enumerate(self._segments):
            if start < segment.steps:
                truth = Truth(segment.task, visit)
                for step, batch in enumerate(self._visit(visit, start), start):
                    if visit > 0 and step < self._timetable.ramp:
                        batch = self._faded(batch, visit, step)
                    yield batch, truth
                for name in self._visits[max(0, visit - 1) : visit + 1]:
                    # The next visit may still fade out of this one.
                    if name not in self._visits[visit + 1 :] and (name != segment.task or not self._timetable.ramp):
                        self._prepared.pop(name, None)
            start = max(0, start - segment.steps)

    def _visit(self, visit: int, start: int) -> Iterator[Batch]:
        lesson = self._lessons[self._visits[visit]]
        inputs, targets, rows = self._samples(lesson)
        size, contract, on_chunk = self._timetable.batch_size, lesson.contract, lesson.on_chunk
        task = lesson.name if self._scenario.labels != "never" else None
        shown, left = self._scenario.boundaries == "shown", self._segments[visit].steps - start
        boundary = shown and start == 0
        chunk = size * max(1, min(_CHUNK_BATCHES, _CHUNK_BYTES // (size * inputs[0].nbytes)))
        first_epoch, first_batch = divmod(start, self._batches(lesson.name))
        for epoch in range(first_epoch, self._timetable.epochs):
            drawn = torch.randperm(len(rows), generator=generator(self._seed, "order", visit, epoch))
            order = rows[drawn].to(inputs.device, non_blocking=True)
            for at in range(first_batch * size, len(order), chunk):
                chosen = order[at : at + chunk]
                chunk_inputs = inputs.index_select(0, chosen)
                if on_chunk is not None:
                    chunk_inputs = on_chunk(chunk_inputs)
                chunk_targets = targets.index_select(0, chosen)
                batches = zip(torch.split(chunk_inputs, size), torch.split(chunk_targets, size), strict=True)
                for x, y in batches:
                    left -= 1
                    yield Batch(x, y, contract, task, boundary, ends=shown and left == 0)
                    boundary = False
            first_batch = 0

    def _faded(self, batch: Batch, visit: int, step: int) -> Batch:
        """The batch with some of its samples replaced by ones of the visit before, ever fewer with each step."""
        lesson = self._lessons[self._visits[visit - 1]]
        draw, size = generator(self._seed, "ramp", visit, step), len(batch.targets)
        old = (torch.rand(size, generator=draw) >= (step + 1) / (self._timetable.ramp + 1)).to(batch.inputs.device)
        inputs, targets, rows = self._samples(lesson)
        chosen = rows[torch.randint(len(rows), (size,), generator=draw)].to(inputs.device)
        before = inputs.index_select(0, chosen)
        if lesson.on_chunk is not None:
            before = lesson.on_chunk(before)
        return replace(
            batch,
            inputs=torch.where(old.view(-1, *[1] * (before.dim() - 1)), before, batch.inputs),
            targets=torch.where(
                old.view(-1, *[1] * (batch.targets.dim() - 1)), targets.index_select(0, chosen), batch.targets
            ),
        )

    def _samples(self, lesson: Lesson) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets, and which of their rows to serve."""
        rows = self._rows[lesson.name]
        if lesson.prepare is None:
            return lesson.train_inputs, lesson.train_targets, rows
        if lesson.name not in self._prepared:
            here = rows.to(lesson.train_inputs.device)
            inputs = lesson.prepare(lesson.train_inputs.index_select(0, here))
            self._prepared[lesson.name] = inputs, lesson.train_targets.index_select(0, here)
        inputs, targets = self._prepared[lesson.name]
        return inputs, targets, torch.arange(len(rows))

    def _batches(self, name: str) -> int:
        return -(-len(self._rows[name]) // self._timetable.batch_size)

    def _task(self, lesson: Lesson) -> Task:
        label = lesson.name if self._scenario.labels == "judging" else None
        return Task(lesson.name, lesson.contract, lesson.test_inputs, lesson.test_targets, label)


def _rows(lesson: Lesson, samples: int | None, seed: int) -> Tensor:
    rows = torch.arange(len(lesson.train_inputs)) if lesson.rows is None else lesson.rows
    if samples is None:
        return rows
    if samples > len(rows):
        raise ValueError(
            f"timetable: samples={samples}, but task {lesson.name!r} has {len(rows)} training samples. Ask "
            "for fewer, or null for all."
        )
    return rows[torch.randperm(len(rows), generator=generator(seed, "samples", lesson.name))[:samples]]
