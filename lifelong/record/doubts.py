"""What makes a run's numbers worth less than they look: said wherever they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifelong.evaluation.summary import Summary

LEAST = 0.02
"""Of a score in per cent, what must have been learned to be more than chance."""


def doubts(summary: Summary) -> list[str]:
    """Sentences without their subject; none for a run whose numbers mean what they say."""
    found = []
    if summary.diverged is not None:
        found.append("a loss was no number, and what was scored since means nothing (a smaller learning rate may help)")
    elif _learned_nothing(summary):
        found.append("what was taught is answered no better than before any lesson: there is nothing to forget")
    if summary.consolidated == 0 and summary.shifts_true + summary.shifts_told:
        found.append("no end of a task was found, so that what shall keep old tasks never began to work")
    return found


def _learned_nothing(summary: Summary) -> bool:
    if summary.learning_accuracy is None or summary.untrained is None:
        return False
    return summary.learning_accuracy <= summary.untrained + (LEAST if summary.percent else 0.0)


def doubted(runs: Mapping[str, Sequence[Summary]]) -> list[str]:
    """What is to be said of several agents, each with its runs."""
    said = []
    for name, summaries in runs.items():
        every = [doubt for summary in summaries for doubt in doubts(summary)]
        for doubt in dict.fromkeys(every):
            where = "" if len(summaries) == 1 else f"in {every.count(doubt)} of {len(summaries)} runs "
            said.append(f"{name}: {where}{doubt}.")
    return said
