"""The section of a report that shows how the learner acts: a strip of pictures of one episode in each world."""

from __future__ import annotations

from lifelong.evaluation.numbers import score
from lifelong.evaluation.trace import is_world
from lifelong.events import FramesDrawn
from lifelong.record import html
from lifelong.record.runs import RecordedRun


def worlds_section(run: RecordedRun) -> str:
    """Pictures of one episode of each task, with its return; nothing where none was drawn."""
    drawn = {event.task: event for _, event in run.trace.all(FramesDrawn)}
    if not drawn:
        return ""
    shown, missing = [], []
    for task in (task.name for task in run.trace.started.tasks if is_world(task)):
        png = _png(run, drawn[task].path) if task in drawn else None
        if png is None:
            missing.append(task)
            continue
        line = f"{task}: return {score(drawn[task].value, False)}"
        shown.append(html.picture(png, f"Frames of an episode of {task}, from its first to its last step", line))
    note = "As the run ended: one episode of each task without learning, the first of its judging, from left to right."
    if missing:
        note += f" There are no pictures of {', '.join(missing)}."
    return html.section("Worlds", note, "".join(shown))


def _png(run: RecordedRun, path: str) -> bytes | None:
    """A picture of the run's own; None where it is gone."""
    place = (run.path / path).resolve()
    if not place.is_relative_to(run.path.resolve()) or not place.is_file():
        return None
    return place.read_bytes()
