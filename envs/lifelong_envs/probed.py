"""A stream with tasks that are judged all along and never taught: what happens to general ability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lifelong.experience import Batch, Truth
from lifelong.interaction import Interaction
from lifelong.stream import EnvTask, Lived, Segment, Stream, Task


class Probed:
    """A stream as it is, and the tasks of another one judged beside its own.

    No segment serves a probe, so none counts in ACC, BWT, FWT or forgetting. Raises ValueError where a probe has the
    name of a task of the stream.
    """

    def __init__(self, stream: Stream, probes: Sequence[Task | EnvTask]) -> None:
        taken = sorted({task.name for task in stream.tasks} & {probe.name for probe in probes})
        if taken or not probes:
            named = f"{stream.name!r} has tasks called {', '.join(taken)} itself" if taken else "got no probe"
            raise ValueError(f"Probes need names of their own, and there must be one at least: {named}.")
        self._stream = stream
        self._probes = tuple(probes)

    @property
    def name(self) -> str:
        return self._stream.name

    @property
    def tasks(self) -> Sequence[Task | EnvTask]:
        """The stream's own, and then the probes."""
        return [*self._stream.tasks, *self._probes]

    @property
    def segments(self) -> Sequence[Segment]:
        return self._stream.segments

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch | Interaction, Truth]]:
        return self._stream.experiences(start)

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self._stream.state_dict() if isinstance(self._stream, Lived) else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if isinstance(self._stream, Lived):
            self._stream.load_state_dict(state["stream"])


def with_probe(stream: Stream, *probes: Task | EnvTask) -> Probed:
    """A stream with tasks that are judged beside its own, and never taught."""
    return Probed(stream, probes)


def probed(stream: Stream, probe: Stream) -> Probed:
    """A stream with the tasks of another one judged beside its own, and never taught.

    `probe` is any stream; only its tasks are used. They may ask another question than the stream's own, in which case
    an agent answers as untrained, unless the head is shared.
    """
    return Probed(stream, probe.tasks)
