"""Streams of any kind in one life: batches to learn from and worlds to act in, visit by visit in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lifelong.experience import Batch, Truth
from lifelong.interaction import Interaction
from lifelong.stream import EnvTask, Live, Lived, Segment, Stream, Task


@dataclass(frozen=True, slots=True)
class _Visit:
    """One segment of one stream: where it begins there, and in the whole."""

    stream: int
    segment: Segment
    inner: int
    outer: int


class Relay:
    """The first visit of each stream, then the second of each, and so on; who has none left is passed over.

    Each stream goes on exactly where it was left. Raises ValueError where there is no stream, or where two streams call
    different tasks by one name.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        if not streams:
            raise ValueError("A relay needs at least one stream, got none.")
        self._streams = list(streams)
        if endless := [stream.name for stream in self._streams if isinstance(stream, Live)]:
            raise ValueError(f"A relay needs streams whose visits are known beforehand; {endless[0]!r} has none.")
        owners: dict[str, int] = {}
        for number, stream in enumerate(self._streams):
            for task in stream.tasks:
                if (other := owners.setdefault(task.name, number)) != number:
                    raise ValueError(
                        f"Two streams of the relay have a task called {task.name!r} ({self._streams[other].name} "
                        f"and {stream.name}): tasks are known by their names, so give one of them another."
                    )
        self._visits = _visits([stream.segments for stream in self._streams])

    @property
    def name(self) -> str:
        return "relay of " + ", ".join(stream.name for stream in self._streams)

    @property
    def tasks(self) -> Sequence[Task | EnvTask]:
        known = {task.name: task for stream in self._streams for task in stream.tasks}
        return [known[name] for name in dict.fromkeys(visit.segment.task for visit in self._visits)]

    @property
    def segments(self) -> Sequence[Segment]:
        return [visit.segment for visit in self._visits]

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch | Interaction, Truth]]:
        total = sum(segment.steps for segment in self.segments)
        if not 0 <= start <= total:
            raise ValueError(f"The stream {self.name!r} has {total} steps, it cannot start at step {start}.")
        walks = [stream.experiences(self._lived(number, start)) for number, stream in enumerate(self._streams)]
        return self._from(start, walks)

    def _from(
        self, start: int, walks: list[Iterator[tuple[Batch | Interaction, Truth]]]
    ) -> Iterator[tuple[Batch | Interaction, Truth]]:
        for number, visit in enumerate(self._visits):
            for step in range(visit.outer, visit.outer + visit.segment.steps):
                if step >= start:
                    experience, truth = next(walks[visit.stream])
                    yield experience, Truth(truth.task, number)

    def _lived(self, stream: int, step: int) -> int:
        """How many experiences of one stream come before a step of the whole."""
        mine = [visit for visit in self._visits if visit.stream == stream]
        return sum(min(max(step - visit.outer, 0), visit.segment.steps) for visit in mine)

    def state_dict(self) -> dict[str, Any]:
        return {"streams": [s.state_dict() if isinstance(s, Lived) else None for s in self._streams]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for stream, kept in zip(self._streams, state["streams"], strict=True):
            if isinstance(stream, Lived):
                stream.load_state_dict(kept)


def relay(streams: tuple[Stream, ...]) -> Relay:
    """Streams in turn, one visit of each: batches and worlds in one life."""
    return Relay(streams)


def _visits(segments: Sequence[Sequence[Segment]]) -> list[_Visit]:
    found, outer, inner = [], 0, [0] * len(segments)
    for turn in range(max(map(len, segments))):
        for stream, own in enumerate(segments):
            if turn < len(own):
                found.append(_Visit(stream, own[turn], inner[stream], outer))
                inner[stream] += own[turn].steps
                outer += own[turn].steps
    return found
