"""A run in one row: every headline number, computed from the record alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lifelong.evaluation.families import measured, values_of
from lifelong.evaluation.matrix import acc, bwt, forgetting, fwt, learning_accuracy, matrix_of, untrained
from lifelong.evaluation.routing import foreign_share, routing_accuracy
from lifelong.evaluation.shifts import shifts_of, told
from lifelong.evaluation.trace import Trace, trace_of
from lifelong.events import (
    Consolidated,
    DriftDetected,
    EpisodeFailed,
    Event,
    ExpertChosen,
    ExpertSpawned,
    LaneFailed,
    Refused,
    Restored,
    RunFinished,
    ShiftDismissed,
    Skipped,
    SubspaceGrown,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """The headline numbers of a run; None where a number is not defined.

    Scores are higher-is-better and in units of the metric: fractions 0..1 where `percent` is True. Steps
    count experiences. `labels_shown` says that the learner was told which task it is in. `shifts_true` counts the
    changes of task that had to be found; `shifts_told` those that were plain to see. `threshold` is the
    shift detector's (None: there was none). `parameters`, `nonzero` (those that pruning left), `bytes` in memory,
    `archived` ones on the disk, `stored_samples` of the stream and their `stored_bytes` are None for a run that did not
    finish, and where the learner does not account for them.
    `foreign` is the share (0..1) of test samples of the tasks met that the learner took for foreign to all its experts,
    in the last row; `recognised` that of samples of tasks not met yet, in all rows. `drifts` counts slow ones.
    `return_while_learning` is the mean return, as it is, of the episodes that ended while it was learned, in worlds to
    act in, where there is no `prequential_accuracy`. `env_steps`: steps taken in worlds in all (0: experiences are
    batches); `env_steps_per_experience`: how many of them an experience in a world is (None: there was none, or they
    differ). `crowded` counts the times that a world was learned by an expert of another, as there was no room for one
    more. `skipped` counts experiences that nobody could learn from, `restored` how often the learner was put back
    to its checkpoint, `failures` how often an environment that was lived in failed and was made anew, `left_out`
    the episodes of judging that could not be played. `refused`: messages that said nothing to learn from.
    `truth_known`: whether it is known which task was served when (False: shifts were detected, and neither right
    nor wrong). `consolidated` counts the ends of tasks that retention methods were shown (None: there was none that
    begins to work only then). `diverged`: the step at which a loss was no number for the first time. `untrained`:
    what `learning_accuracy` would be without any learning. `cpu_seconds`: processor time of the run, over all
    threads (None: not measured). `families`: the transfer measures of reinforcement learning, named by family.
    """

    agent: str
    stream: str
    seed: int
    device: str
    labels_shown: bool
    metric: str
    percent: bool
    finished: bool
    steps: int
    acc: float | None
    bwt: float | None
    fwt: float | None
    forgetting: float | None
    learning_accuracy: float | None
    prequential_accuracy: float | None
    experts: int
    parameters: int | None
    threshold: float | None
    shifts_true: int
    shifts_told: int
    shifts_detected: int
    shifts_dismissed: int
    false_alarms: int
    missed_shifts: int
    detection_delay: float | None
    routing_accuracy: float | None
    wall_seconds: float
    cpu_seconds: float | None = None
    drifts: int = 0
    foreign: float | None = None
    recognised: float | None = None
    nonzero: int | None = None
    bytes: int | None = None
    stored_samples: int | None = None
    stored_bytes: int | None = None
    archived: int | None = None
    return_while_learning: float | None = None
    env_steps: int = 0
    env_steps_per_experience: int | None = None
    crowded: int = 0
    skipped: int = 0
    restored: int = 0
    failures: int = 0
    left_out: int = 0
    refused: int = 0
    truth_known: bool = True
    consolidated: int | None = None
    diverged: int | None = None
    untrained: float | None = None
    families: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def summarize(
    records: Iterable[tuple[int, Event]],
    wall_seconds: float,
    versions: dict[str, str],
    cpu_seconds: float | None = None,
) -> Summary:
    """Sum up a record. Raises ValueError for a record without RunStarted; else as `summary_of`."""
    return summary_of(trace_of(records), wall_seconds, versions, cpu_seconds)


def summary_of(
    trace: Trace, wall_seconds: float, versions: dict[str, str], cpu_seconds: float | None = None
) -> Summary:
    """Sum up a run; an interrupted one is summed up as far as it goes.

    The two times and `versions` (library -> version) are the only things that the record does not hold, so
    that two runs of one seed have equal records.
    """
    matrix = matrix_of(trace)
    started = trace.started
    shifts = shifts_of(trace)
    finished = [event for _, event in trace.all(RunFinished)]
    spawned = {event.expert for _, event in trace.all(ExpertSpawned)}
    metrics = sorted({task.metric for task in started.tasks})
    return Summary(
        agent=started.agent,
        stream=started.stream,
        seed=started.seed,
        device=started.device,
        labels_shown=started.oracle,
        metric=" / ".join(metrics),
        percent=all(task.higher_is_better and task.high == 1.0 for task in started.tasks),
        finished=bool(finished),
        steps=trace.end,
        acc=acc(matrix),
        bwt=bwt(matrix),
        fwt=fwt(matrix),
        forgetting=forgetting(matrix),
        learning_accuracy=learning_accuracy(matrix),
        prequential_accuracy=_prequential(trace),
        experts=finished[-1].experts if finished else len(spawned | set(trace.experts.tolist())),
        parameters=finished[-1].parameters if finished else None,
        threshold=started.threshold,
        shifts_true=shifts.true,
        shifts_told=len(told(trace)),
        shifts_detected=shifts.detected,
        shifts_dismissed=len(trace.all(ShiftDismissed)),
        false_alarms=shifts.false_alarms,
        missed_shifts=shifts.missed,
        detection_delay=sum(shifts.delays) / len(shifts.delays) if shifts.delays else None,
        routing_accuracy=routing_accuracy(trace) if started.segments else None,
        wall_seconds=wall_seconds,
        cpu_seconds=cpu_seconds,
        drifts=len(trace.all(DriftDetected)),
        foreign=foreign_share(trace, seen=True),
        recognised=foreign_share(trace, seen=False),
        nonzero=finished[-1].nonzero if finished else None,
        bytes=finished[-1].bytes if finished else None,
        stored_samples=finished[-1].stored_samples if finished else None,
        stored_bytes=finished[-1].stored_bytes if finished else None,
        archived=finished[-1].archived if finished else None,
        return_while_learning=_return_while_learning(trace),
        env_steps=trace.env_steps(),
        env_steps_per_experience=trace.env_steps_per_experience(),
        crowded=sum(event.full for _, event in trace.all(ExpertChosen)),
        skipped=len(trace.all(Skipped)),
        restored=len(trace.all(Restored)),
        failures=len(trace.all(LaneFailed)),
        left_out=sum(event.left_out for _, event in trace.all(EpisodeFailed)),
        refused=max((event.so_far for _, event in trace.all(Refused)), default=0),
        truth_known=bool(started.segments),
        consolidated=_consolidated(trace) if started.awaits_ends else None,
        diverged=_diverged(trace),
        untrained=untrained(matrix),
        families=values_of(measured(trace, matrix)),
        versions=dict(versions),
    )


def _prequential(trace: Trace) -> float | None:
    """Mean score before each update over all samples (Gama et al. 2013), turned so that higher is better."""
    answered = ~trace.in_worlds()
    samples = trace.samples[answered]
    total = float(samples.sum())
    return float(np.dot(trace.oriented_scores()[answered], samples)) / total if total else None


def _consolidated(trace: Trace) -> int:
    """How often a task was taken to have ended, and something was done to keep it."""
    return len({step for kind in (Consolidated, SubspaceGrown) for step, _ in trace.all(kind)})


def _diverged(trace: Trace) -> int | None:
    """Of batches: in a world, a stretch without an update has no loss."""
    broken = trace.broken[~trace.in_worlds() & (trace.broken > 0)]
    return int(broken[0]) if len(broken) else None


def _return_while_learning(trace: Trace) -> float | None:
    """Mean over the experiences in which an episode ended; a return has no scale that it could be a share of."""
    ended = trace.in_worlds() & (trace.scored > 0)
    return float(np.average(trace.scores[ended], weights=trace.scored[ended])) if ended.any() else None
