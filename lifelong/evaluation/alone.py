"""What a learner came to that had one task to itself: plain numbers, which can be kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lifelong.evaluation.course import Course
from lifelong.evaluation.trace import Stretch, Trace
from lifelong.events import TaskFacts, TaskScored


@dataclass(frozen=True, slots=True)
class Alone:
    """A run of one task: its metric's values, as they are, at the judgings, made after so many experiences.

    experiences: how many there were, each of `env_steps_per_experience` steps (None: batches). `final` is the value
    at the end.
    """

    task: str
    experiences: int
    env_steps_per_experience: int | None
    steps: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def final(self) -> float:
        return self.values[-1]

    def course(self, facts: TaskFacts) -> Course:
        """Scores over time, made of the values as those of a run with these facts of the task are."""
        values = np.array(self.values, dtype=np.float64)
        if facts.random is not None and facts.expert is not None:
            values = (values - facts.random) / (facts.expert - facts.random)
        elif not facts.higher_is_better:
            values = -values
        steps = np.array(self.steps, dtype=np.int64)
        visit = Stretch(self.task, 0, self.experiences)
        return Course((self.task,), steps, values[:, None], (visit,), self.env_steps_per_experience)


def alone_of(trace: Trace) -> Alone:
    """The numbers of a finished run of a single task. Raises ValueError for one of several, or one that broke off."""
    started = trace.started
    tasks = set(started.segments)
    looks = [(step, event.value) for step, event in trace.all(TaskScored)]
    if len(tasks) != 1 or not looks or looks[-1][0] != started.steps:
        raise ValueError(
            f"Only a whole run of one task says what is learned alone, got {sorted(tasks)}, judged until step "
            f"{looks[-1][0] if looks else 'none'} of {started.steps}."
        )
    steps, values = zip(*looks, strict=True)
    return Alone(tasks.pop(), started.steps, started.env_steps_per_experience, steps, values)
