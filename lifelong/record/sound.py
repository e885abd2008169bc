"""Whether a record can be one: what its lines say must fit together before anything is computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lifelong.events import Event, Learned, RunStarted, TaskEntered, TaskScored

LONGEST = 2**53
"""Steps that a number of JSON counts without a gap."""


def sound(path: Path, records: Iterable[tuple[int, Event]]) -> Iterator[tuple[int, Event]]:
    """The same events, as long as each fits to those before it.

    Raises ValueError, naming the file and the first one that does not.
    """
    started: RunStarted | None = None
    before = 0
    for number, (step, event) in enumerate(records, start=1):
        fault = _fault(step, event, before, started)
        if fault:
            raise ValueError(
                f"{path}, event {number} ({type(event).__name__} at step {step}) does not fit to what is before it: "
                f"{fault}. Restore the file, or delete that line."
            )
        if isinstance(event, RunStarted):
            started = event
        before = step
        yield step, event


def _fault(step: int, event: Event, before: int, started: RunStarted | None) -> str | None:
    if not before <= step <= LONGEST:
        return f"the event before is of step {before}"
    match event:
        case RunStarted():
            return next(_faults_of(event), None) if started is None else "the run has begun already"
        case Learned():
            return _fault_of(event, step)
        case TaskEntered(task=task, segment=segment) if started is not None and started.segments:
            if not 0 <= segment < len(started.segments) or started.segments[segment] != task:
                return f"segment {segment} is not of task {task!r}"
        case TaskScored(task=task, segment=segment) if started is not None:
            known = {known.name for known in started.tasks}
            if task not in known or segment < 0 or (started.segments and segment > len(started.segments)):
                return f"there is no task {task!r} to be judged after segment {segment}"
        case _:
            pass
    return None


def _fault_of(event: Learned, step: int) -> str | None:
    counts = {len(event.losses), len(event.scores), len(event.statistics)}
    if len(counts) > 1:
        return "it has not as many losses as scores and statistics"
    if max(counts) > step or event.samples < 0 or event.expert < 0:
        return "it counts more updates than there are steps, or less than none"
    return None


def _faults_of(event: RunStarted) -> Iterator[str]:
    names, starts = [task.name for task in event.tasks], list(event.segment_starts)
    if not names or len(set(names)) < len(names):
        yield "its tasks are none, or two of one name"
    if not set(event.segments) <= set(names):
        yield "its segments are of tasks that it does not have"
    if len(event.segments) != len(starts) or starts != sorted(starts):
        yield "its segments do not begin one after the other"
    if not all(0 <= bound <= LONGEST for bound in (*starts, event.steps)) or max(starts, default=0) > event.steps:
        yield "its segments lie beyond its end"
