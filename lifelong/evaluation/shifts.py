"""How well shifts were found: detections matched to the true changes of task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lifelong.evaluation.trace import Trace
from lifelong.events import DriftDetected, ShiftDetected, ShiftSeen


@dataclass(frozen=True, slots=True)
class ShiftReport:
    """True and detected shifts, matched: counts, delays of the hits in steps (1: at once), and where they are.

    `hit_steps` and `false_steps` are the steps of the detections that were right and that were false alarms.
    """

    true: int
    detected: int
    hits: int
    false_alarms: int
    missed: int
    delays: tuple[int, ...]
    hit_steps: tuple[int, ...]
    false_steps: tuple[int, ...]


def true_shifts(segments: Sequence[str], starts: Sequence[int]) -> list[int]:
    """The steps at which the task really changes: starts of segments whose task differs from the one before.

    `starts` holds for each segment the number of experiences before it. A segment that goes on with the
    same task is no shift.
    """
    return [start for (old, new), start in zip(pairwise(segments), starts[1:], strict=True) if old != new]


def match_shifts(true_steps: Sequence[int], detected_steps: Sequence[int], end: int) -> ShiftReport:
    """Match detections to true shifts of a run that learned `end` experiences.

    A true shift at step s (s experiences lie before it) is hit by the first detection d with s < d <= the
    next true shift, or `end` for the last; its delay is d - s, so 1 is the very first experience of the new
    task. Further detections in the same stretch, and those before the first shift, are false alarms. True
    shifts at or after `end` were never lived through and do not count.
    """
    true = [step for step in sorted(set(true_steps)) if step < end]
    detected = sorted(step for step in detected_steps if step <= end)
    delays = []
    false = list(detected)
    for shift, following in pairwise([*true, end]):
        first = next((step for step in detected if shift < step <= following), None)
        if first is not None:
            delays.append(first - shift)
            false.remove(first)
    return ShiftReport(
        true=len(true),
        detected=len(detected),
        hits=len(delays),
        false_alarms=len(false),
        missed=len(true) - len(delays),
        delays=tuple(delays),
        hit_steps=tuple(step for step in detected if step not in false),
        false_steps=tuple(false),
    )


def told(trace: Trace) -> set[int]:
    """Steps before which a change was plain to see: another contract, a shown label or boundary."""
    return {step - 1 for step, _ in trace.all(ShiftSeen)}


def shifts_of(trace: Trace) -> ShiftReport:
    """The shifts of a run that had to be found, as far as it got: those that were plain to see do not count.

    Where nobody knows the truth, what was detected is counted, and neither right nor wrong: its steps are those of the
    hits, and there are none.
    """
    truth = trace.truth()
    plain = told(trace)
    found = [step for kind in (ShiftDetected, DriftDetected) for step, _ in trace.all(kind)]
    if not trace.started.segments:
        return ShiftReport(0, len(found), 0, 0, 0, (), tuple(found), ())
    true = true_shifts([stretch.task for stretch in truth], [stretch.start for stretch in truth])
    return match_shifts(
        [step for step in true if step not in plain],
        found,
        trace.end,
    )
