"""The tables of a report: the score matrix, the events of note, and how to run the same again."""

from __future__ import annotations

import math

from lifelong.evaluation.numbers import count, decimals, fixed, number, score
from lifelong.evaluation.shifts import shifts_of
from lifelong.events import (
    Consolidated,
    DriftDetected,
    DriftFollowed,
    EpisodeFailed,
    Event,
    ExpertChosen,
    ExpertDissolved,
    ExpertSpawned,
    LaneFailed,
    ParameterHeld,
    Refused,
    Restored,
    RolledBack,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    Skipped,
    TaskEntered,
    TaskScored,
)
from lifelong.record import html
from lifelong.record.failures import nth, said_of_episode, told_of
from lifelong.record.found import findings_of
from lifelong.record.runs import RecordedRun

MOST_ROWS = 200


def matrix_table(run: RecordedRun) -> str:
    """The score matrix with one decimal more than the heat map has; beside normalised returns, the raw ones."""
    after = ["untrained", *(f"{k}  {task}" for k, task in enumerate(run.matrix.segments, start=1))]
    normalised = {task.name for task in run.trace.started.tasks if task.metric == "normalised_return"}
    raw = {(e.segment, e.task): e.value for _, e in run.trace.all(TaskScored) if e.at_end and e.task in normalised}
    places = [decimals(column, 4) for column in run.matrix.scores.T]
    rows = []
    for row, (name, scores) in enumerate(zip(after, run.matrix.scores.tolist(), strict=True)):
        cells = [
            score(None if s != s else s, True) if run.summary.percent else fixed(s, place)
            for s, place in zip(scores, places, strict=True)
        ]
        beside = [raw.get((row, task)) for task in run.matrix.tasks]
        rows.append([name, *map(_with_raw, cells, beside)])
    return html.table(["after segment", *run.matrix.tasks], rows)


def _with_raw(cell: str, value: float | None) -> str:
    return cell if value is None else f"{cell} ({score(value, False)})"


def notes_section(run: RecordedRun) -> str:
    """Shifts, experts and the true tasks in order, at most 200 rows."""
    shifts = shifts_of(run.trace)
    found = findings_of(run.trace)
    verdicts = dict.fromkeys(shifts.hit_steps, " (right)") | dict.fromkeys(shifts.false_steps, " (false alarm)")
    if not run.trace.started.segments:
        verdicts = {}
    rows = [
        [count(step), what]
        for place, (step, event) in enumerate(run.trace.events)
        if (what := _found(found.get(place)) or _told(event, verdicts.get(step, ""), step)) is not None
    ]
    rest = ""
    if len(rows) > MOST_ROWS:
        rest = f'<p class="note">… and {count(len(rows) - MOST_ROWS)} more in events.jsonl.</p>'
    note = "The truth and what the learner decided. Steps count experiences."
    return html.section(
        "What happened, in order", note, html.table(["step", "what"], rows[:MOST_ROWS], text=(1,)) + rest
    )


def held_section(run: RecordedRun) -> str:
    """What holds each parameter in the end; nothing where the learner protects none."""
    held = [event for _, event in run.trace.all(ParameterHeld)]
    if not held:
        return ""
    several = len({event.foundation for event in held}) > 1
    rows = []
    for event in held:
        name = f"network {event.foundation}: {event.parameter}" if several else event.parameter
        left = score(1.0 - event.rank / event.size, True) if event.how != "per expert" else "-"
        ranks = f"{round(event.rank, 1):g} of {count(event.size)}" if event.how == "protected" else "-"
        rows.append([name, "x".join(map(str, event.shape)), event.how, ranks, left, event.why])
    shared = [(1.0 - e.rank / e.size, math.prod(e.shape)) for e in held if e.how != "per expert"]
    free = sum(left * n for left, n in shared) / max(1, sum(n for _, n in shared))
    note = f"As the run ended. {score(free, True)} of what experts share was still free to learn."
    head = ["parameter", "shape", "", "directions taken", "left", "why"]
    return html.section(
        "What holds each parameter", note, html.folded(f"{count(len(rows))} parameters", html.table(head, rows))
    )


def config_section(run: RecordedRun, name: str = "") -> str:
    """The command, the whole configuration and the versions that make this run again."""
    title = f"Run {name} again" if name else "Run this again"
    if not run.config:
        return html.section(title, "This run's folder holds no config.yaml, so it was not started from one.", "")
    versions = ", ".join(f"{library} {version}" for library, version in run.summary.versions.items())
    note = "config.yaml lies in the run's folder, and in full below." + (f" Ran with {versions}." if versions else "")
    config = html.folded("config.yaml", html.code(run.config))
    return html.section(title, note, html.code("lifelong run config.yaml") + config)


def _found(sentence: str | None) -> str | None:
    return None if sentence is None else f"{sentence[0].upper()}{sentence[1:]}."


_GIVEN_AWAY = {
    "inputs": ", by its inputs",
    "fall": ", by a sudden fall of the loss",
    "starts": ", by how episodes begin",
}


def _told(event: Event, verdict: str, step: int) -> str | None:
    match event:
        case TaskEntered():
            return f"The stream turns to {event.task}, segment {event.segment + 1}."
        case ShiftDetected():
            how = _GIVEN_AWAY.get(event.by, "")
            return f"Shift found{verdict}{how}: it began at step {count(step - event.delay)}{_over(event)}."
        case DriftDetected():
            change = f"{score(event.gained, True)} of what there is to know is new, {score(event.lost, True)} was lost"
            return f"Slow drift found{verdict}: {change}."
        case DriftFollowed():
            return f"The drift goes on, and expert {event.expert} with it."
        case ExpertDissolved():
            return f"Expert {event.expert} is gone: expert {event.into} knows its world as well."
        case ShiftSeen():
            return "The change is plain to see: another contract, a label or a boundary."
        case ShiftDismissed():
            return f"Alarm dismissed, expert {event.expert} still explains the data{_over(event)}."
        case Consolidated() if event.spent:
            return f"{' and '.join(event.spent)} has hardly any weights left for further tasks."
        case RolledBack():
            number = count(event.experiences)
            return f"Expert {event.expert} is put back by {number} experiences that were not its own."
        case Refused():
            return f"A message was left out, {count(event.so_far)} so far: {event.why}."
        case Skipped():
            return f"Left out, nobody learns from it: {event.why}."
        case LaneFailed() if told_of(event.restarts):
            how = f"failed in {event.task!r}, in its step {count(event.at)}, for the {nth(event.restarts)} time"
            return f"Lane {event.lane} {how}, and its environment was made anew: {event.why}."
        case EpisodeFailed():
            said = said_of_episode(event)
            return f"{said[0].upper()}{said[1:]}."
        case Restored():
            return f"The loss is no number: the learner is put back by {count(event.experiences)} experiences."
        case ExpertSpawned():
            parent = "" if event.parent is None else f", from expert {event.parent}"
            return f"Expert {event.expert} is spawned{parent}: {count(event.parameters)} parameters."
        case ExpertChosen(full=True):
            return f"No room for another expert: expert {event.expert} learns a world that is not its own."
        case ExpertChosen():
            left = score(event.unexplained, True)
            return f"Expert {event.expert} learns from here on, {left} of the evidence unexplained."
        case _:
            return None


def _over(event: ShiftDetected | ShiftDismissed) -> str:
    return f" (statistic {number(event.statistic)}, threshold {number(event.threshold)})"
