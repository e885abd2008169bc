"""Before anything runs: can this learner live through this stream, and what of it would pass it by?"""

from __future__ import annotations

import warnings
from itertools import pairwise

from lifelong.experience import Batch, Prospect
from lifelong.interaction import Stage
from lifelong.labels import must_be_answerable
from lifelong.learner import Agent, Foresighted, Particular
from lifelong.loop import acting, learning
from lifelong.stream import EnvTask, Live, Stream, Task


def look_ahead(stream: Stream, learner: Agent, who: str) -> None:
    """Warn of what `who` will not notice in the stream. Raises ValueError, naming who, for what it cannot live in.

    The learner stays as it was. Worlds that do not say how they are lived in are not looked at.
    """
    try:
        warned = _foreseen(stream, learner)
    except ValueError as error:
        raise ValueError(f"{who} cannot live through {stream.name!r}: {error}") from error
    for what in warned:
        warnings.warn(f"{who}: {what}", stacklevel=2)


def _foreseen(stream: Stream, learner: Agent) -> list[str]:
    worlds = [task for task in stream.tasks if isinstance(task, EnvTask)]
    for task in stream.tasks:
        if isinstance(task, Task) and task.judged:
            must_be_answerable(task.test_targets, task.contract, task.name)
    if len(worlds) < len(stream.tasks):
        learning(learner)
        if isinstance(learner, Particular) and learner.is_particular:
            first = _first_batch(stream)
            if first is not None:
                learner.suits(first, _prospect(stream, first))
    if worlds:
        acting(learner)
    if not isinstance(learner, Foresighted):
        return []
    known: list[Stage] = []
    for task in worlds:
        if task.lived is None or any(_alike(task.lived, stage) for stage in known):
            continue
        known.append(task.lived)
        try:
            learner.check(task.lived)
        except ValueError as error:
            raise ValueError(f"world {task.name!r}: {error}") from error
    return _unnoticed(stream, learner)


def _first_batch(stream: Stream) -> Batch | None:
    """The batch that the stream begins with; None where it begins with a world, or nobody knows with what."""
    if isinstance(stream, Live):
        return None
    task = next((task for task in stream.tasks if task.name == stream.segments[0].task), None)
    if not isinstance(task, Task):
        return None
    first, _ = next(iter(stream.experiences()))
    return first if isinstance(first, Batch) else None


def _prospect(stream: Stream, first: Batch) -> Prospect:
    tasks = [task for task in stream.tasks if isinstance(task, Task)]
    names = {task.name for task in tasks}
    visits = [segment.task for segment in stream.segments if segment.task in names]
    # A visit to the same task goes on with it, unless its beginning is shown; where that is, so is the last one's end.
    ends = sum(here != there or first.boundary for here, there in pairwise(visits)) + int(first.boundary)
    return Prospect(
        tuple(dict.fromkeys(task.contract for task in tasks)),
        all(task.label is not None for task in tasks),
        sum(segment.steps for segment in stream.segments),
        ends,
    )


def _alike(one: Stage, other: Stage) -> bool:
    spaces = one.observation_space == other.observation_space and one.action_space == other.action_space
    return spaces and one.lanes == other.lanes


def _unnoticed(stream: Stream, learner: Foresighted) -> list[str]:
    """Changes from one world to another that come before a new expert can notice any."""
    tasks = {task.name: task for task in stream.tasks if isinstance(task, EnvTask)}
    visits = [segment for segment in stream.segments if segment.task in tasks]
    first = {visit.task: place for place, visit in reversed(list(enumerate(visits)))}
    short: list[str] = []
    least = 0
    for place, (visit, after) in enumerate(pairwise(visits)):
        here, there = tasks[visit.task], tasks[after.task]
        if first[visit.task] < place or here is there or here.lived is None or there.lived is None:
            continue
        # Other spaces are plain to see.
        need = learner.blind(here.lived) if _alike(here.lived, there.lived) else None
        steps = visit.steps * (here.env_steps or 0)
        if need is not None and steps < need:
            short.append(f"{here.name!r} ({steps:,} steps)")
            least = max(least, need)
    if not short:
        return []
    return [
        f"an expert that is new in a world notices no change in its first {least:,} environment steps there, or more; "
        f"the first visit is shorter to {', '.join(short)}, so that nobody will notice its end. Make visits longer "
        "(timetable: steps), or let the agent notice sooner: by a smaller look, or a detector with a shorter warmup."
    ]
