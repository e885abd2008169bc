"""Whether each task is answered by the expert that learned it."""

from __future__ import annotations

import numpy as np

from lifelong.evaluation.trace import Trace
from lifelong.events import ExpertDissolved, ExpertSpawned, TaskScored


def owners(trace: Trace) -> dict[str, int]:
    """The expert that learned most experiences of each true task; the older one where two are equal.

    What an expert learned that is gone counts for the one that took its place, where that has learned of the task
    itself: else nobody is left who was taught it, and the one that is gone stays its owner.
    """
    heirs = {event.expert: event.into for _, event in trace.all(ExpertDissolved)}
    counts: dict[str, dict[int, int]] = {}
    for stretch in trace.truth():
        inside = (trace.steps > stretch.start) & (trace.steps <= stretch.stop)
        experts, places = np.unique(trace.experts[inside], return_inverse=True)
        learned = np.bincount(places, trace.updates[inside]).astype(int)
        of_task = counts.setdefault(stretch.task, {})
        for expert, number in zip(experts.tolist(), learned.tolist(), strict=True):
            of_task[expert] = of_task.get(expert, 0) + number
    for task, of_task in counts.items():
        counts[task] = _inherited(of_task, heirs)
    return {
        task: min(of_task, key=lambda expert, of=of_task: (-of[expert], expert))  # type: ignore[misc]
        for task, of_task in counts.items()
        if of_task
    }


def _inherited(of_task: dict[int, int], heirs: dict[int, int]) -> dict[int, int]:
    """Experiences of one task by expert, those of experts that are gone with their heirs."""
    found: dict[int, int] = {}
    for expert, number in of_task.items():
        heir = expert
        while heir in heirs:
            heir = heirs[heir]
        who = heir if heir in of_task else expert
        found[who] = found.get(who, 0) + number
    return found


def routing_accuracy(trace: Trace) -> float | None:
    """Share (0..1) of the samples judged in the matrix's last row that went to their task's owner.

    Tasks that nobody has learned yet do not count. None where there is only one expert, or nothing was
    judged.
    """
    experts = set(trace.experts.tolist()) | {event.expert for _, event in trace.all(ExpertSpawned)}
    rows = [event for _, event in trace.all(TaskScored) if event.at_end]
    if len(experts) < 2 or not rows:
        return None
    owner = owners(trace)
    right = total = 0
    for event in rows:
        if event.segment == rows[-1].segment and event.task in owner:
            right += sum(samples for expert, samples in event.routed if expert == owner[event.task])
            total += sum(samples for _, samples in event.routed)
    return right / total if total else None


def foreign_share(trace: Trace, seen: bool) -> float | None:
    """Share (0..1) of judged samples that the learner took for foreign to all its experts.

    seen: of tasks that it had met, in the matrix's last row; else of tasks that it had not met yet, in all rows but
    that of the untrained learner. None where it does not judge that, or there are none.
    """
    rows = [event for _, event in trace.all(TaskScored) if event.at_end and event.foreign is not None]
    last = max((event.segment for event in rows), default=0)
    asked = [e for e in rows if e.seen is seen and (e.segment == last if seen else e.segment > 0)]
    total = sum(event.samples for event in asked)
    return sum(event.foreign or 0 for event in asked) / total if total else None
