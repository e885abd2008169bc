"""The transfer measures of reinforcement learning in a report: a table in which every line names its family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lifelong.evaluation.alone import Alone
from lifelong.evaluation.continual_world import cw_interval
from lifelong.evaluation.course import Course
from lifelong.evaluation.families import Measured, measured
from lifelong.evaluation.numbers import NONE, change, fixed, score
from lifelong.record import html
from lifelong.record.runs import RecordedRun


@dataclass(frozen=True, slots=True)
class Line:
    """One measure: family, short name with an arrow that points where better lies, how it is written, what it means."""

    family: str
    name: str
    write: Callable[[float], str]
    meaning: str


def _share(value: float) -> str:
    return score(value, True)


def _points(value: float) -> str:
    return change(value, True)


def _signed(value: float) -> str:
    return f"{'+' if round(value, 3) > 0 else ''}{fixed(value, 3)}"


def _plain(value: float) -> str:
    return score(value, False)


CW, L2, CORA = "Continual World", "l2metrics", "CORA"
LINES: dict[str, Line] = {
    "cw_p": Line(CW, "P ↑", _share, "Performance in all tasks taught, at the end."),
    "cw_f": Line(CW, "F ↓", _points, "Performance lost from the end of a task's last lesson to the end of the run."),
    "cw_ft": Line(CW, "FT ↑", _signed, "Head start over learning a task alone: share of what was left to gain."),
    "l2_pm": Line(L2, "PM ↑", _points, "Performance maintenance: mean change since a task was taught."),
    "l2_ft": Line(L2, "FT ↑", _signed, "Contrast (−1 to 1) of a task not taught yet, before and after a lesson."),
    "l2_bt": Line(L2, "BT ↑", _signed, "Contrast (−1 to 1) of a task taught before, before and after a lesson."),
    "l2_rp": Line(L2, "RP ↑", _plain, "Area under a task's curve over that of learning it alone."),
    "l2_se": Line(L2, "SE ↑", _plain, "How high a task's curve gets, times how soon, against learning it alone."),
    "cora_f": Line(CORA, "F ↓", _signed, "Isolated forgetting: what one lesson takes from a task taught before."),
    "cora_zsft": Line(
        CORA, "Z ↑", _signed, "Zero-shot forward transfer: what one lesson gives to a task not taught yet."
    ),
}
"""By the name that the measure has in summary.json and, behind cl/, in W&B."""

TITLE = "Transfer between worlds, by families of measures"
NOTE = (
    "The families do not agree on sign and scale: compare within a line only. Continual World counts forgetting as "
    "positive, l2metrics as negative; CORA divides by a task's largest return."
)
RAW = (
    "Of returns as they are only CORA says anything, which divides by a task's largest return. The families of "
    "Continual World and l2metrics are there where worlds have references, between which a return counts."
)


def families_section(run: RecordedRun, alone: Sequence[Alone] = ()) -> str:
    """The measures of one run, those against learners that had one task to themselves too; nothing where it has none.

    Raises ValueError for one `alone` that was taught for longer or shorter than the run was.
    """
    facts = {task.name: task for task in run.trace.started.tasks}
    references: dict[str, list[Course]] = {}
    for one in alone:
        if one.task in facts:
            references.setdefault(one.task, []).append(one.course(facts[one.task]))
    found = measured(run.trace, run.matrix, references)
    shown = [name for name in LINES if name in found]
    if not shown:
        return ""
    rows = [
        [line.family, line.name, _value(name, found), f"{found[name].known} of {found[name].terms}", line.meaning]
        for name, line in ((name, LINES[name]) for name in shown)
    ]
    terms = "A value is a mean over terms, tasks or pairs of tasks; where a term is not defined it is left out."
    note = f"{_note(shown)} {terms}"
    head = ["family", "measure", "value", "terms", "what it says"]
    return html.section(TITLE, note, html.table(head, rows, text=(0, 1, 4)))


def families_comparison(runs: Sequence[RecordedRun], names: Sequence[str]) -> str:
    """The measures of several runs side by side, and means over runs of one agent; nothing where there are none."""
    found = [measured(run.trace, run.matrix) for run in runs]
    shown = [name for name in LINES if any(name in measures for measures in found)]
    if not shown:
        return ""
    rows = [[LINES[name].family, LINES[name].name, *(_value(name, measures) for measures in found)] for name in shown]
    table = html.table(["family", "measure", *names], rows, text=(0, 1))
    return html.section(TITLE, _note(shown), table + _over_runs(runs, found, shown))


def _note(shown: Sequence[str]) -> str:
    return RAW if {LINES[name].family for name in shown} == {CORA} else NOTE


def _over_runs(runs: Sequence[RecordedRun], found: Sequence[dict[str, Measured]], shown: Sequence[str]) -> str:
    groups: dict[tuple[str, str], list[dict[str, Measured]]] = {}
    for run, measures in zip(runs, found, strict=True):
        groups.setdefault((run.summary.agent, run.summary.stream), []).append(measures)
    several = {who: group for who, group in groups.items() if len(group) > 1}
    if not several:
        return ""
    streams = {stream for _, stream in several}
    heads = [
        f"{agent}{f' on {stream}' if len(streams) > 1 else ''}, {len(group)} runs"
        for (agent, stream), group in several.items()
    ]
    rows = [
        [LINES[name].family, LINES[name].name, *(_mean_and_interval(name, group) for group in several.values())]
        for name in shown
    ]
    note = '<p class="note">Means over runs of one agent, with 90 % bootstrap intervals of the mean.</p>'
    return note + html.table(["family", "measure", *heads], rows, text=(0, 1))


def _mean_and_interval(name: str, group: Sequence[dict[str, Measured]]) -> str:
    values = [measures[name].value for measures in group if name in measures]
    known = [value for value in values if value is not None]
    write = LINES[name].write
    if len(known) < 2:
        return write(known[0]) if known else NONE
    low, high = cw_interval(known)
    return f"{write(sum(known) / len(known))} [{write(low)}, {write(high)}]"


def _value(name: str, measures: dict[str, Measured]) -> str:
    value = measures[name].value if name in measures else None
    return NONE if value is None else LINES[name].write(value)
