"""The record in memory, of a run that is written nowhere."""

from __future__ import annotations

from lifelong.events import Event


class Memory:
    """Keeps every event with its step."""

    def __init__(self) -> None:
        self.events: list[tuple[int, Event]] = []

    def on(self, step: int, event: Event) -> None:
        self.events.append((step, event))

    def close(self) -> None:
        """Nothing is pending."""
