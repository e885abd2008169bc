"""What a study's tables hold, column by column: how well an agent did, and what that cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from lifelong.evaluation.numbers import NONE, change, duration, number, score
from lifelong.evaluation.summary import Summary
from lifelong.record.measures import detects
from lifelong.study.statistics import Estimate

UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Column:
    """One measure: its key in files, its name for people, which way is better (+1, -1, 0), what it means.

    `value` gives the number of a run, or None; `write` spells one number, given whether scores are shares. alone: it
    says something without how much was learned, so that there is a best one. bounds: what it can be; scaled: only
    where scores are shares.
    """

    key: str
    name: str
    better: int
    meaning: str
    value: Callable[[Summary], float | None]
    write: Callable[[float, bool], str]
    alone: bool = True
    bounds: tuple[float, float] = (0.0, inf)
    scaled: bool = False

    def range(self, percent: bool) -> tuple[float, float]:
        """What a mean of it can be."""
        return self.bounds if percent or not self.scaled else (-inf, inf)

    @property
    def title(self) -> str:
        """The name with an arrow that points where better lies."""
        return self.name + {1: " ↑", -1: " ↓", 0: ""}[self.better]

    def written(self, found: Estimate | None, percent: bool) -> str:
        """A mean and its interval, "91.2 % [90.5, 91.8]"; the mean alone where all seeds agree or there is one."""
        if found is None:
            return NONE
        mean = self.write(found.mean, percent)
        if found.low is None or found.high is None or found.low == found.high:
            return mean
        unit = mean.partition(" ")[2]
        low, high = (self.write(bound, percent) for bound in (found.low, found.high))
        if unit and all(bound.endswith(f" {unit}") for bound in (low, high)):
            low, high = low.removesuffix(f" {unit}"), high.removesuffix(f" {unit}")
        return f"{mean} [{low}, {high}]"


def _share_found(summary: Summary) -> float | None:
    if not detects(summary) or not summary.shifts_true:
        return None
    return (summary.shifts_true - summary.missed_shifts) / summary.shifts_true


def _amount(value: float, percent: bool) -> str:
    return number(value) if value != int(value) or abs(value) >= 1e9 else f"{int(value):,}"


def _bytes(value: float, percent: bool) -> str:
    for unit in UNITS:
        if value < 999.5 or unit == UNITS[-1]:
            return f"{number(value)} {unit}"
        value /= 1000
    raise AssertionError("the last unit takes everything")


SHARE, SIGNED, ANY = (0.0, 1.0), (-1.0, 1.0), (-inf, inf)

SCORES: tuple[Column, ...] = (
    Column("acc", "ACC", 1, "mean score on all tasks seen, at the end", lambda s: s.acc, score, True, SHARE, True),
    Column(
        "bwt",
        "BWT",
        1,
        "backward transfer: what later tasks did to older ones",
        lambda s: s.bwt,
        change,
        False,
        SIGNED,
        True,
    ),
    Column(
        "fwt",
        "FWT",
        1,
        "forward transfer: head start on a task before its first lesson",
        lambda s: s.fwt,
        change,
        False,
        SIGNED,
        True,
    ),
    Column(
        "forgetting",
        "Forgetting",
        -1,
        "drop of old tasks from their best",
        lambda s: s.forgetting,
        change,
        False,
        SIGNED,
        True,
    ),
    Column(
        "learning",
        "Learning",
        1,
        "score right after a task was taught",
        lambda s: s.learning_accuracy,
        score,
        True,
        SHARE,
        True,
    ),
    Column(
        "prequential",
        "Prequential",
        1,
        "score before learning from a sample",
        lambda s: s.prequential_accuracy,
        score,
        True,
        SHARE,
        True,
    ),
    Column(
        "return_while_learning",
        "Return while learning",
        1,
        "mean return of episodes while learning, as it is",
        lambda s: s.return_while_learning,
        lambda value, percent: number(value),
        bounds=ANY,
    ),
    Column(
        "shifts_found",
        "Shifts found",
        1,
        "share of true changes noticed",
        _share_found,
        lambda v, _: score(v, True),
        bounds=SHARE,
    ),
    Column(
        "false_alarms",
        "False alarms",
        -1,
        "changes reported where there was none",
        lambda s: s.false_alarms if detects(s) else None,
        _amount,
    ),
)

COSTS: tuple[Column, ...] = (
    Column("experts", "Experts", 0, "alive at the end", lambda s: s.experts, _amount),
    Column("parameters", "Parameters", -1, "trainable numbers in all experts", lambda s: s.parameters, _amount),
    Column("stored_samples", "Stored samples", -1, "samples of the stream kept", lambda s: s.stored_samples, _amount),
    Column(
        "stored_bytes",
        "Stored",
        -1,
        "samples, importances and copies that are kept of the past",
        lambda s: s.stored_bytes,
        _bytes,
    ),
    Column("bytes", "Memory", -1, "the learner with all that it remembers", lambda s: s.bytes, _bytes),
    Column(
        "cpu_seconds", "CPU", -1, "processor time, judging included", lambda s: s.cpu_seconds, lambda v, _: duration(v)
    ),
    Column("wall_seconds", "Time", -1, "by the clock", lambda s: s.wall_seconds or None, lambda v, _: duration(v)),
)

DIFFERENCE = Column("acc_difference", "ACC", 1, "difference, seed by seed", lambda s: s.acc, change, True, SIGNED, True)


def explained(columns: Sequence[Column]) -> str:
    """What the columns mean, in one sentence."""
    return "; ".join(f"{column.name}: {column.meaning}" for column in columns) + "."
