"""The headline numbers as a person reads them: name, unit, direction, meaning, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lifelong.evaluation.numbers import NONE, change, count, duration, score
from lifelong.evaluation.summary import Summary

TOLD_IN_FULL = 4
"""Runs or agents that are told of in words; of more, the best ones."""

KEPT = 0.01
"""What old tasks may lose or gain and count as kept: a point, or where there are no points this share of what was
learned."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One headline number: a short name, which way is better, what it means, and how to write it.

    `better` is +1 where more is better, -1 where less is, 0 where neither. `value` gives the number to
    compare runs by. `applies`: whether runs of this kind have the measure at all.
    """

    name: str
    better: int
    meaning: str
    value: Callable[[Summary], float | None]
    write: Callable[[Summary], str]
    applies: Callable[[Summary], bool] = lambda summary: True

    @property
    def title(self) -> str:
        """The name with an arrow that points where better lies."""
        return self.name + {1: " ↑", -1: " ↓", 0: ""}[self.better]


def counted(summary: Summary) -> str:
    """What an experience of this run is, to be put behind a number of them; empty where it is a batch."""
    each = summary.env_steps_per_experience
    if each is None:
        return ""
    batch = "" if summary.prequential_accuracy is None else "a batch, or "
    return f"{batch}{count(each)} environment steps"


def detects(summary: Summary) -> bool:
    """Whether the run looked for shifts by itself."""
    return (summary.threshold is not None or summary.shifts_detected > 0) and not _was_told(summary)


def _was_told(summary: Summary) -> bool:
    return summary.shifts_told > 0 and summary.shifts_true == 0


def _parameters(summary: Summary) -> int | None:
    return summary.parameters if summary.nonzero is None else summary.nonzero


def _shifts(summary: Summary) -> str:
    if _was_told(summary):
        return "told"
    if not detects(summary):
        return NONE
    if not summary.truth_known:
        return count(summary.shifts_detected)
    return f"{summary.shifts_true - summary.missed_shifts} of {summary.shifts_true}"


def _judges(summary: Summary) -> bool:
    """Whether what it detected can be held against the truth."""
    return detects(summary) and summary.truth_known


def _delay(summary: Summary) -> str:
    if summary.detection_delay is None:
        return NONE
    # Where batches are learned too, a step of the stream is no number of steps in a world.
    within = None if summary.prequential_accuracy is not None else summary.env_steps_per_experience
    inside = "" if within is None else f" ({count(round(within * summary.detection_delay))} env steps)"
    return f"{summary.detection_delay:.1f} steps{inside}"


MEASURES: tuple[Measure, ...] = (
    Measure(
        "ACC",
        1,
        "Mean score on all tasks seen, at the end.",
        lambda s: s.acc,
        lambda s: score(s.acc, s.percent),
    ),
    Measure(
        "BWT",
        1,
        "Backward transfer: what later tasks did to older ones. Below zero, something was lost; up to 1 point, or "
        "1 % of raw scores, counts as kept.",
        lambda s: s.bwt,
        lambda s: change(s.bwt, s.percent),
    ),
    Measure(
        "FWT",
        1,
        "Forward transfer: head start on a task before its first lesson, against an untrained learner.",
        lambda s: s.fwt,
        lambda s: change(s.fwt, s.percent),
    ),
    Measure(
        "Forgetting",
        -1,
        "Drop of old tasks from the best they ever were.",
        lambda s: s.forgetting,
        lambda s: change(s.forgetting, s.percent),
    ),
    Measure(
        "Learning",
        1,
        "Score on each task right after it was taught. Who learns nothing forgets nothing.",
        lambda s: s.learning_accuracy,
        lambda s: score(s.learning_accuracy, s.percent),
    ),
    Measure(
        "Prequential",
        1,
        "Score on every new sample before learning from it.",
        lambda s: s.prequential_accuracy,
        lambda s: score(s.prequential_accuracy, s.percent),
        lambda s: s.prequential_accuracy is not None or s.return_while_learning is None,
    ),
    Measure(
        "Return while learning",
        1,
        "Mean return of the episodes that ended while learning, as it is.",
        lambda s: s.return_while_learning,
        lambda s: score(s.return_while_learning, False),
        lambda s: s.return_while_learning is not None,
    ),
    Measure(
        "Experts",
        0,
        "Experts alive at the end.",
        lambda s: s.experts,
        lambda s: count(s.experts),
    ),
    Measure(
        "No room",
        -1,
        "Times that a world was learned by an expert whose world it is not: the pool was full (max_experts).",
        lambda s: s.crowded or None,
        lambda s: count(s.crowded) if s.crowded else NONE,
        lambda s: s.crowded > 0,
    ),
    Measure(
        "Left out",
        -1,
        "Experiences that nobody could learn from: their numbers were not finite.",
        lambda s: s.skipped or None,
        lambda s: count(s.skipped) if s.skipped else NONE,
        lambda s: s.skipped > 0,
    ),
    Measure(
        "Messages left out",
        0,
        "Messages that said nothing to learn from: damaged ones, labels for nothing, and those that came twice.",
        lambda s: s.refused or None,
        lambda s: count(s.refused) if s.refused else NONE,
        lambda s: s.refused > 0,
    ),
    Measure(
        "Worlds failed",
        -1,
        "Times that an environment that was lived in failed and was made anew. Its episode ended there.",
        lambda s: s.failures or None,
        lambda s: count(s.failures) if s.failures else NONE,
        lambda s: s.failures > 0,
    ),
    Measure(
        "Not judged",
        -1,
        "Episodes of judging that were left out: their environment failed however often they were played again.",
        lambda s: s.left_out or None,
        lambda s: count(s.left_out) if s.left_out else NONE,
        lambda s: s.left_out > 0,
    ),
    Measure(
        "Parameters",
        -1,
        "Trainable numbers in all experts together; those that pruning has put to zero do not count.",
        _parameters,
        lambda s: NONE if (parameters := _parameters(s)) is None else count(parameters),
    ),
    Measure(
        "Shifts found",
        1,
        "True changes of task that were noticed without being told. Changes that are plain to see do not count. Where "
        "nobody knows the truth: all that were detected.",
        lambda s: s.shifts_true - s.missed_shifts if _judges(s) else None,
        _shifts,
    ),
    Measure(
        "False alarms",
        -1,
        "Changes reported where there was none.",
        lambda s: s.false_alarms if _judges(s) else None,
        lambda s: count(s.false_alarms) if _judges(s) else NONE,
    ),
    Measure(
        "Alarms dismissed",
        0,
        "Alarms after which the expert at work turned out to know its world still: nothing was changed.",
        lambda s: s.shifts_dismissed if detects(s) else None,
        lambda s: count(s.shifts_dismissed) if detects(s) else NONE,
    ),
    Measure(
        "Delay",
        -1,
        "Mean number of steps from a true change to noticing it; 1 is at once.",
        lambda s: s.detection_delay,
        _delay,
    ),
    Measure(
        "Routing",
        1,
        "Test samples, or steps of test episodes, answered by the expert that learned their task.",
        lambda s: s.routing_accuracy,
        lambda s: score(s.routing_accuracy, True),
    ),
    Measure(
        "Time",
        -1,
        "Wall-clock time of the run, judging included.",
        lambda s: s.wall_seconds,
        lambda s: duration(s.wall_seconds) if s.wall_seconds else NONE,
    ),
)


def best(measure: Measure, summaries: Sequence[Summary]) -> set[int]:
    """The places of the best runs; nobody is the best where all are equal or nobody competes."""
    values = [measure.value(summary) for summary in summaries]
    known = [value * measure.better for value in values if value is not None]
    if not measure.better or len(known) < 2 or len({*known}) == 1:
        return set()
    return {k for k, value in enumerate(values) if value is not None and value * measure.better == max(known)}


def names_of(summaries: Sequence[Summary]) -> list[str]:
    """A short name for each run: its agent, with stream, seed or a number added where runs look alike."""
    names = [summary.agent for summary in summaries]
    streams = [f" on {summary.stream}" for summary in summaries]
    seeds = [f", seed {summary.seed}" for summary in summaries]
    for extras in (streams, seeds):
        longer = [name + extra for name, extra in zip(names, extras, strict=True)]
        groups = {name: {more for n, more in zip(names, longer, strict=True) if n == name} for name in names}
        names = [more if len(groups[name]) > 1 else name for name, more in zip(names, longer, strict=True)]
    numbers = [names[: k + 1].count(name) for k, name in enumerate(names)]
    return [
        f"{name} ({number})" if names.count(name) > 1 else name for name, number in zip(names, numbers, strict=True)
    ]


def verdict(summaries: Sequence[Summary]) -> str:
    """What came out, in plain words: how well each run learned its tasks, and what it lost on old ones.

    Of many runs, those that ended best.
    """
    named = list(zip(names_of(summaries), summaries, strict=True))
    scored = [(name, summary) for name, summary in named if summary.acc is not None]
    many = len(named) > TOLD_IN_FULL and bool(scored)
    if many:
        named = sorted(scored, key=lambda one: -(one[1].acc or 0.0))[:TOLD_IN_FULL]
    parts = [f"{name} {_fate(summary)}{'' if summary.finished else ' (unfinished)'}" for name, summary in named]
    return (f"The best {len(named)} of {len(summaries)}: " if many else "") + "; ".join(parts) + "."


def _fate(summary: Summary) -> str:
    if summary.acc is None and not summary.truth_known:
        return "was judged by what was new alone"
    if summary.acc is None:
        return "was not judged after any lesson yet"
    if summary.bwt is None:
        return f"scored {score(summary.acc, summary.percent)}, with no old task to lose yet"
    # Who learns nothing forgets nothing: the one is not said without the other.
    learned = f"learned its tasks to {score(summary.learning_accuracy, summary.percent)}"
    size = change(abs(summary.bwt), summary.percent).removeprefix("+").replace(" pt", " points")
    if size in ("0.0 points", "0"):
        return f"{learned} and lost nothing on old ones"
    if _is_kept(summary.bwt, summary):
        return f"{learned} and kept old ones within {'1 point' if summary.percent else '1 %'}"
    return f"{learned} and {'lost' if summary.bwt < 0 else 'gained'} {size} on old ones"


def _is_kept(change: float, summary: Summary) -> bool:
    """Whether what old tasks lost or gained is too little to speak of: a few episodes or samples make as much."""
    if summary.percent:
        # As it is shown: to a tenth of a point.
        return round(abs(change), 3) <= KEPT
    return abs(change) <= KEPT * abs(summary.learning_accuracy or 0.0)
