"""Both references of every world of a stream, measured or taken from the cache, and kept in a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lifelong.evaluation.alone import Alone
from lifelong.evaluation.schedule import Schedule
from lifelong.interaction import Interaction
from lifelong.learner import Agent
from lifelong.lifetime import EVALUATION
from lifelong.record.plain import decode, encode, parsed
from lifelong.record.subscriber import Subscriber
from lifelong.references.cache import Cache, Plain
from lifelong.references.one_world import OneWorld
from lifelong.references.random_policy import random_value
from lifelong.references.single_task import installed, single_task
from lifelong.stream import EnvTask, Stream


@dataclass(frozen=True, slots=True)
class Reference:
    """What one world is measured by: a random policy, and a learner that had it to itself, both by `measure`."""

    task: str
    random: float
    alone: Alone
    measure: str = "return"


def references_of(
    stream: Stream,
    learner: Callable[[], Agent],
    described: Mapping[str, Plain],
    cache: Cache,
    seed: int = 0,
    evaluation: Schedule = EVALUATION,
    episodes: int = 100,
    subscribers: Sequence[Subscriber] = (),
) -> list[Reference]:
    """The references of every world of a stream, in its order.

    A learner has a world to itself for as long as its first visit in the stream, in as many lanes. described: plain
    data from which stream and learner were made. episodes: of the random policy. Raises ValueError for a stream that
    does not begin with a world to act in.
    """
    first, _ = next(iter(stream.experiences()))
    if not isinstance(first, Interaction):
        raise ValueError(f"The stream {stream.name!r} does not begin with a world to act in: it has no references.")
    found = []
    for task in (task for task in stream.tasks if isinstance(task, EnvTask)):
        at_random = {"random policy in": described.get("stream"), "task": task.name, "episodes": episodes}
        if task.measure != "return":
            at_random["measure"] = task.measure
        value = cache.measured(
            {**at_random, "seed": seed, "versions": installed()}, partial(random_value, task, episodes, seed)
        )
        length, lanes = _first_visit(stream, task.name), len(first.lanes)
        budget = {"task": task.name, "experiences": length, "env_steps_per_experience": first.steps, "lanes": lanes}
        world = partial(OneWorld, task, length, first.steps, lanes, seed)
        alone = single_task(world, learner, {**described, **budget}, cache, seed, evaluation, subscribers)
        found.append(Reference(task.name, float(value), alone, task.measure))
    return found


def write_references(references: Sequence[Reference], path: Path) -> None:
    """Write them as JSON, for people and `read_references`."""
    path.write_text(json.dumps(encode(list(references)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_references(path: Path) -> list[Reference]:
    """What was written. Raises ValueError where the file is something else."""
    try:
        found = decode(tuple[Reference, ...], parsed(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} holds no references as `lifelong references` writes them: {error}.") from error
    return list(found)


def _first_visit(stream: Stream, task: str) -> int:
    """Experiences until another task follows."""
    length = 0
    for segment in stream.segments:
        if segment.task == task:
            length += segment.steps
        elif length:
            break
    return length
