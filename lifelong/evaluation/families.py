"""The transfer measures of reinforcement learning of one run, family by family: they disagree in sign and scale.

The first letters of a name are its family: cw (Continual World), l2 (l2metrics), cora (CORA).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lifelong.evaluation.continual_world import cw_forgetting, cw_forward_transfer, cw_performance
from lifelong.evaluation.cora import cora_forgetting, cora_zero_shot_transfer
from lifelong.evaluation.course import Course, Terms, course_of, mean_of
from lifelong.evaluation.l2metrics import (
    l2_backward_transfer,
    l2_forward_transfer,
    l2_performance_maintenance,
    l2_relative_performance,
    l2_sample_efficiency,
)
from lifelong.evaluation.matrix import ScoreMatrix
from lifelong.evaluation.trace import Trace, is_world


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure's value, the mean of its `known` terms out of so many `terms`; None where no term is defined."""

    value: float | None
    known: int
    terms: int


def measured(
    trace: Trace, matrix: ScoreMatrix, references: Mapping[str, Sequence[Course]] | None = None
) -> dict[str, Measured]:
    """Every measure that makes sense for a run, by its name; none at all where no task is a world to act in.

    Performances must have 1 for full success (success rates, normalised returns), else only CORA's, which normalises
    by itself, are there. cw_ft, l2_rp and l2_se need `references`: for a task, courses of runs that were taught it
    alone (l2metrics takes the first). Raises ValueError for a reference that does not fit.
    """
    if not any(map(is_world, trace.started.tasks)):
        return {}
    found = {"cora_f": _terms(cora_forgetting(matrix)), "cora_zsft": _terms(cora_zero_shot_transfer(matrix))}
    if not all(task.higher_is_better and task.high == 1.0 for task in trace.started.tasks):
        return found
    course = course_of(trace)
    found |= {
        "cw_p": _terms(cw_performance(course)),
        "cw_f": _terms(cw_forgetting(course)),
        "l2_pm": _terms(l2_performance_maintenance(matrix)),
        "l2_ft": _terms(l2_forward_transfer(matrix)),
        "l2_bt": _terms(l2_backward_transfer(matrix)),
    }
    if references:
        experts = {task: courses[0] for task, courses in references.items() if courses}
        found |= {
            "cw_ft": _terms(cw_forward_transfer(course, references)),
            "l2_rp": _terms(l2_relative_performance(course, experts)),
            "l2_se": _terms(l2_sample_efficiency(course, experts)),
        }
    return found


def values_of(measures: Mapping[str, Measured]) -> dict[str, float]:
    """The values that are defined, by name."""
    return {name: measure.value for name, measure in measures.items() if measure.value is not None}


def _terms(terms: Terms) -> Measured:
    return Measured(mean_of(terms), sum(term is not None for term in terms.values()), len(terms))
