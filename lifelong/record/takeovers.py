"""Experts that take over again, told apart from those that are new and from those that just go on."""

from __future__ import annotations

from lifelong.evaluation.trace import Trace
from lifelong.events import Event, ExpertChosen, ExpertSpawned


class Takeovers:
    """Follows who learns: an expert that is chosen takes over again where another one, also a new one, was before."""

    def __init__(self) -> None:
        self._current = 0

    def again(self, event: Event) -> bool:
        """To be given every event in order; whether an expert takes over again with this one."""
        if not isinstance(event, ExpertSpawned | ExpertChosen):
            return False
        before, self._current = self._current, event.expert
        return isinstance(event, ExpertChosen) and event.expert != before


def takeovers_of(trace: Trace) -> list[tuple[int, int]]:
    """The steps at which an expert took over again, and which."""
    takeovers = Takeovers()
    found = [(step, event, takeovers.again(event)) for step, event in trace.events]
    return [(step, event.expert) for step, event, again in found if again and isinstance(event, ExpertChosen)]
