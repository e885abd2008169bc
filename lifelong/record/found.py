"""What judging told of who knows which world, in plain words: at the ends of segments alone, or it would flood."""

from __future__ import annotations

from lifelong.evaluation.trace import Trace, is_world
from lifelong.events import Event, ExpertFound, RunStarted, TaskScored


class Findings:
    """Puts what an actor found out while it was judged into words, where the judging was one at a segment's end."""

    def __init__(self) -> None:
        self._judging: TaskScored | None = None
        self._worlds: set[str] = set()

    def told(self, event: Event) -> str | None:
        """To be given every event in order; a sentence without a full stop, or None where there is nothing to say."""
        match event:
            case RunStarted():
                self._worlds = {task.name for task in event.tasks if is_world(task)}
            case TaskScored():
                self._judging = event
                return self._nobody(event)
            case ExpertFound():
                return self._taken_over(event)
            case _:
                pass
        return None

    def _nobody(self, judging: TaskScored) -> str | None:
        """Once something is learned, a world that nobody acts in is one of a kind that was not met yet."""
        acted = {expert for expert, _ in judging.routed}
        if judging.task not in self._worlds or acted != {-1} or not judging.at_end or judging.segment == 0:
            return None
        return f"judged on {judging.task}: at random, since no expert has lived in a world with such spaces yet"

    def _taken_over(self, found: ExpertFound) -> str | None:
        judging = self._judging
        if judging is None or not judging.at_end or judging.task != found.task:
            return None
        return (
            f"judged on {found.task}: expert {found.expert} took over from {found.instead_of} "
            f"after {found.steps:.1f} steps in {found.episodes} of {judging.samples} episodes"
        )


def findings_of(trace: Trace) -> dict[int, str]:
    """The sentences of a whole record, by the place of the event in it."""
    findings = Findings()
    told = ((place, findings.told(event)) for place, (_, event) in enumerate(trace.events))
    return {place: sentence for place, sentence in told if sentence is not None}
