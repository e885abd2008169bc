"""The beginning of a stream, judged on samples that are held out from its own training data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from lifelong.experience import Batch, Truth
from lifelong.interaction import Interaction
from lifelong.stream import EnvTask, Lived, Segment, Stream, Task

PARTS = 10_000


class First:
    """The first segments of another stream; no later task is known, and no test sample is looked at.

    held_out: share of each task's training samples that is judged on instead of its test set, and never learned (0:
    the test set is judged on). They are picked by their content, so that a sample that comes again, in another epoch or
    visit, stays out; where inputs are changed anew each time, they are only near to those that are learned. A batch
    that would be left without any sample stays whole. Worlds to act in are judged by episodes, as they always are.
    After A. Chaudhry et al. (2019), Efficient lifelong learning with A-GEM, sec. 2: settings are chosen on the first
    tasks alone. Raises ValueError for numbers out of range, or where nothing can be held out.
    """

    def __init__(self, stream: Stream, segments: int, held_out: float = 0.1) -> None:
        if not 1 <= segments <= len(stream.segments):
            many = len(stream.segments)
            raise ValueError(f"segments must be from 1 to the {many} that the stream has, got {segments}.")
        if not 0.0 <= held_out < 1.0:
            raise ValueError(f"held_out is a share from 0 to below 1, got {held_out}.")
        self._stream, self._held_out = stream, held_out
        self._segments = list(stream.segments[:segments])
        met = dict.fromkeys(segment.task for segment in self._segments)
        known = {task.name: task for task in stream.tasks}
        self._tasks: list[Task | EnvTask] = [known[name] for name in met]
        if held_out:
            self._tasks = self._judged_on_held_out()

    @property
    def name(self) -> str:
        return f"first {len(self._segments)} of {self._stream.name}"

    @property
    def tasks(self) -> Sequence[Task | EnvTask]:
        return self._tasks

    @property
    def segments(self) -> Sequence[Segment]:
        return self._segments

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch | Interaction, Truth]]:
        total = sum(segment.steps for segment in self._segments)
        if not 0 <= start <= total:
            raise ValueError(f"The stream {self.name!r} has {total} steps, it cannot start at step {start}.")
        for experience, truth in islice(self._stream.experiences(start), total - start):
            if isinstance(experience, Batch) and self._held_out:
                out = self._is_out(experience.inputs)
                if out.any() and not out.all():
                    experience = replace(experience, inputs=experience.inputs[~out], targets=experience.targets[~out])
            yield experience, truth

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self._stream.state_dict() if isinstance(self._stream, Lived) else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if isinstance(self._stream, Lived):
            self._stream.load_state_dict(state["stream"])

    def _judged_on_held_out(self) -> list[Task | EnvTask]:
        """The tasks with the samples held out of their batches in the place of their test sets."""
        supervised = {task.name for task in self._tasks if isinstance(task, Task)}
        if not supervised:
            return self._tasks
        found: dict[str, dict[bytes, tuple[Tensor, Tensor]]] = {name: {} for name in supervised}
        learned: dict[str, set[bytes]] = {name: set() for name in supervised}
        total = sum(segment.steps for segment in self._segments)
        for experience, truth in islice(self._stream.experiences(), total):
            if not isinstance(experience, Batch):
                continue
            keys = _keys(experience.inputs)
            out = [self._picks(key) for key in keys]
            if all(out):
                learned[truth.task].update(keys)
                continue
            for row, key in enumerate(keys):
                if out[row]:
                    sample = experience.inputs[row].clone(), experience.targets[row].clone()
                    found[truth.task].setdefault(key, sample)
        return [
            task if isinstance(task, EnvTask) else _judged_by(task, found[task.name], learned[task.name])
            for task in self._tasks
        ]

    def _is_out(self, inputs: Tensor) -> Tensor:
        return torch.tensor([self._picks(key) for key in _keys(inputs)], device=inputs.device)

    def _picks(self, key: bytes) -> bool:
        return int.from_bytes(key) % PARTS < self._held_out * PARTS


def _keys(inputs: Tensor) -> list[bytes]:
    """What each sample is known by."""
    rows = inputs.detach().cpu().contiguous().flatten(1) if inputs.ndim > 1 else inputs.detach().cpu()[:, None]
    return [blake2b(row.tobytes(), digest_size=8).digest() for row in rows.numpy()]


def _judged_by(task: Task, found: dict[bytes, tuple[Tensor, Tensor]], learned: set[bytes]) -> Task:
    samples = [sample for key, sample in found.items() if key not in learned]
    if not samples:
        raise ValueError(
            f"Of task {task.name!r} no training sample can be held out to be judged on: its batches are too few or too "
            "small. Hold out more, use more segments, or set held_out to 0 to be judged on the test set."
        )
    inputs, targets = (torch.stack(parts) for parts in zip(*samples, strict=True))
    return replace(task, test_inputs=inputs, test_targets=targets)
