"""What judging told of who knows which world, in plain words: at the ends of segments alone, or it would flood."""

from __future__ import annotations

from lifelong.evaluation.trace import Trace
from lifelong.events import Event, ExpertFound, TaskScored


class Findings:
    """Puts what an actor found out while it was judged into words, where the judging was one at a segment's end."""

    def __init__(self) -> None:
        self._judging: TaskScored | None = None

    def told(self, event: Event) -> str | None:
        """To be given every event in order; a sentence without a full stop, or None where there is nothing to say."""
        if isinstance(event, TaskScored):
            self._judging = event
        judging = self._judging
        if not isinstance(event, ExpertFound) or judging is None or not judging.at_end or judging.task != event.task:
            return None
        return (
            f"judged on {event.task}: expert {event.expert} took over from {event.instead_of} "
            f"after {event.steps:.1f} steps in {event.episodes} of {judging.samples} episodes"
        )


def findings_of(trace: Trace) -> dict[int, str]:
    """The sentences of a whole record, by the place of the event in it."""
    findings = Findings()
    told = ((place, findings.told(event)) for place, (_, event) in enumerate(trace.events))
    return {place: sentence for place, sentence in told if sentence is not None}
