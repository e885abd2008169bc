"""The contract of everything that watches a run."""

from __future__ import annotations

from typing import Protocol

from lifelong.events import Event


class Subscriber(Protocol):
    """Watches a run. It is handed facts and returns nothing: a subscriber cannot reach the learner."""

    def on(self, step: int, event: Event) -> None:
        """Take note that `event` happened when `step` experiences had been learned."""
        ...

    def close(self) -> None:
        """Write what is pending. Called once, also when the run fails; when it does not, its folder is complete."""
        ...
