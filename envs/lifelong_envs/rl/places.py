"""The worlds of a stream, looked at once: what they are made of, what is set in them, and how they are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gymnasium.spaces import Space

from lifelong_envs.rl.attributes import Attribute
from lifelong_envs.rl.joined import Adapter, Join, joined
from lifelong_envs.rl.world import Env, World, changed


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A world as a lane needs it: the number of its body, what to set in it (one value for each of the body's
    attributes), and the ways of actions and observations."""

    world: World
    body: int
    values: tuple[float, ...]
    act: Adapter
    observe: Adapter


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """All worlds of a stream by name, and their joint spaces.

    For each body: a world that is made of it (bodies), what any of its worlds sets (attributes), and its metadata.
    """

    observation_space: Space[Any]
    action_space: Space[Any]
    bodies: tuple[World, ...]
    attributes: tuple[tuple[Attribute, ...], ...]
    by_task: dict[str, Place]
    metadata: tuple[dict[str, Any], ...]


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
    made: list[Env] = []
    bodies: list[World] = []
    for body in numbers:
        alike = [world for world in worlds if world.body == body]
        alike[0].check()
        made.append(alike[0].built())
        bodies.append(alike[0])
    own = {task: (made[at].observation_space, made[at].action_space) for task, at in body_of.items()}
    shown = joined(worlds, own, join)
    originals = [_originals([w for w in worlds if w.body == body], made[at]) for body, at in numbers.items()]
    by_task = {}
    for world in worlds:
        at = body_of[world.task]
        values = tuple(
            changed(world.set.get(path, original), original, world.task, path)
            for path, original in originals[at].items()
        )
        by_task[world.task] = Place(world, at, values, shown.act[world.task], shown.observe[world.task])
    for env in made:
        env.close()
    return Places(
        shown.observations,
        shown.actions,
        tuple(bodies),
        tuple(tuple(map(Attribute, paths)) for paths in originals),
        by_task,
        tuple(dict(env.metadata) for env in made),
    )


def _originals(alike: Sequence[World], env: Env) -> dict[str, float]:
    """What there is in the environment of all that any world of this body sets, by its path.

    Raises ValueError, naming the world that sets it, where there is no such number.
    """
    found: dict[str, float] = {}
    for world in alike:
        for path in world.set:
            try:
                found[path] = Attribute(path).read(env.unwrapped)
            except ValueError as error:
                raise ValueError(f"world {world.task!r}: set: {error}") from error
    return found
