"""What an agent can do that it was never taught: scores over time of tasks that are judged and never served."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.evaluation.trace import Trace
from lifelong.events import TaskScored


@dataclass(frozen=True, slots=True)
class Probe:
    """A held-out task: its scores where segments ended (step 0: untrained), higher-is-better.

    `gained`: the last minus the first; what the tasks taught did for, or to, general ability.
    Compare the general ability delta of TRACE (Wang et al. 2023).
    """

    task: str
    steps: tuple[int, ...]
    scores: tuple[float, ...]

    @property
    def gained(self) -> float:
        return self.scores[-1] - self.scores[0]


def probes_of(trace: Trace) -> list[Probe]:
    """The tasks that no segment of the stream serves; none of them counts in ACC, BWT, FWT or forgetting."""
    served = set(trace.started.segments)
    found = []
    for task in (task.name for task in trace.started.tasks if task.name not in served):
        looks = {step: event.score for step, event in trace.all(TaskScored) if event.task == task and event.at_end}
        if looks:
            found.append(Probe(task, tuple(looks), tuple(looks.values())))
    return found
