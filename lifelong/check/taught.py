"""A stream seen as one of batches: what the laws of streams and learners of batches are about."""

from __future__ import annotations

from collections.abc import Iterator

from lifelong.experience import Batch, Truth
from lifelong.stream import Stream, Task


def batches(stream: Stream, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
    """Its experiences. Raises ValueError where one is no batch."""
    for experience, truth in stream.experiences(start):
        if not isinstance(experience, Batch):
            raise ValueError(f"These laws are about batches; {stream.name!r} gave a {type(experience).__name__}.")
        yield experience, truth


def tasks(stream: Stream) -> list[Task]:
    """Its tasks. Raises ValueError where one is judged by acting."""
    found = []
    for task in stream.tasks:
        if not isinstance(task, Task):
            raise ValueError(f"These laws are about test samples; {task.name!r} is judged by acting.")
        found.append(task)
    return found
