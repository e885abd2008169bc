"""The record in memory, for summing a run up when it ends."""

from __future__ import annotations

from collections.abc import Iterable

from lifelong.events import Event


class Memory:
    """Keeps every event with its step; starts with `before`, the record of a run that is resumed."""

    def __init__(self, before: Iterable[tuple[int, Event]] = ()) -> None:
        self.events: list[tuple[int, Event]] = list(before)

    def on(self, step: int, event: Event) -> None:
        self.events.append((step, event))

    def close(self) -> None:
        """Nothing is pending."""
