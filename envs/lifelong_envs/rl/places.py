"""The worlds of a stream, looked at once: what they are made of, what is set in them, and how they are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gymnasium.spaces import Space

from lifelong_envs.rl.body import Body, Here
from lifelong_envs.rl.joined import Adapter, Join, joined
from lifelong_envs.rl.processes import Failed, Processes
from lifelong_envs.rl.sound import Check, StepCheck, check_of, check_of_steps
from lifelong_envs.rl.world import World, changed


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A world as a lane needs it: the number of its body, what to set in it (one value for each of the body's
    attributes), the ways of actions and observations, and what its environment gives is to be held against."""

    world: World
    body: int
    values: tuple[float, ...]
    act: Adapter
    observe: Adapter
    first: Check
    sound: StepCheck


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """All worlds of a stream by name, and their joint spaces.

    For each body: a world that is made of it (bodies), what any of its worlds sets (attributes, as paths), and its
    metadata. processes: those of environments that do not live in this one.
    """

    observation_space: Space[Any]
    action_space: Space[Any]
    bodies: tuple[World, ...]
    attributes: tuple[tuple[str, ...], ...]
    by_task: dict[str, Place]
    metadata: tuple[Mapping[str, Any], ...]
    processes: Processes

    def made(self, body: int, render_mode: str | None) -> Body:
        """A new environment. Raises ValueError where it cannot be made."""
        return _made(self.bodies[body], self.processes, render_mode)


def _made(world: World, processes: Processes, render_mode: str | None = None) -> Body:
    return Here(world, render_mode) if world.timeout is None else processes.born(world, render_mode)


def look_at(worlds: Sequence[World], join: Join = "none") -> Places:
    """Make each body once, to see its spaces and what its attributes are before anything is set.

    An attribute that one world sets and another of the same body does not, has in the other the value that it had.
    Raises ValueError where a world cannot be made, has not what is to be set, or does not go with the others.
    """
    if not worlds:
        raise ValueError("A stream needs at least one world to live in, got none.")
    twice = [task for task, count in Counter(world.task for world in worlds).items() if count > 1]
    if twice:
        raise ValueError(f"Several worlds would be called {', '.join(map(repr, twice))}. Give each a name of its own.")
    numbers = {body: at for at, body in enumerate(dict.fromkeys(world.body for world in worlds))}
    body_of = {world.task: numbers[world.body] for world in worlds}
    made: list[Body] = []
    bodies: list[World] = []
    processes = Processes()
    try:
        for body in numbers:
            alike = [world for world in worlds if world.body == body]
            made.append(_looked_at(alike[0], processes))
            bodies.append(alike[0])
        looks = [one.look() for one in made]
        own = {task: (looks[at].observation_space, looks[at].action_space) for task, at in body_of.items()}
        shown = joined(worlds, own, join)
        originals = [_originals([w for w in worlds if w.body == body], made[at]) for body, at in numbers.items()]
    finally:
        for one in made:
            with suppress(Exception):
                one.close()
    checks = [(check_of(look.observation_space), check_of_steps(look.observation_space)) for look in looks]
    by_task = {}
    for world in worlds:
        at = body_of[world.task]
        values = tuple(
            changed(world.set.get(path, original), original, world.task, path)
            for path, original in originals[at].items()
        )
        ways = shown.act[world.task], shown.observe[world.task]
        by_task[world.task] = Place(world, at, values, *ways, *checks[at])
    return Places(
        shown.observations,
        shown.actions,
        tuple(bodies),
        tuple(map(tuple, originals)),
        by_task,
        tuple(look.metadata for look in looks),
        processes,
    )


def _looked_at(world: World, processes: Processes) -> Body:
    """An environment of a world whose class keeps gymnasium's rules. Raises ValueError where it does not."""
    if world.timeout is None:
        world.check()
        return Here(world)
    body = processes.born(world)
    try:
        body.check()
    except Failed as failed:
        raise ValueError(f"world {world.task!r}: {failed}.") from failed
    return body


def _originals(alike: Sequence[World], body: Body) -> dict[str, float]:
    """What there is in the environment of all that any world of this body sets, by its path.

    Raises ValueError, naming the world that sets it, where there is no such number.
    """
    found: dict[str, float] = {}
    for world in alike:
        for path in world.set:
            try:
                found[path] = body.read(path)
            except ValueError as error:
                raise ValueError(f"world {world.task!r}: set: {error}") from error
    return found
