"""The engine of streams of worlds: the same lanes all along, a permission to act in them, and the truth beside it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from lifelong.experience import Truth
from lifelong.interaction import Interaction, Stage
from lifelong.stream import LONGEST, EnvTask, Segment
from lifelong_envs.rl.joined import Join
from lifelong_envs.rl.lane import Lane, latest_world
from lifelong_envs.rl.places import look_at
from lifelong_envs.rl.scenario import Scenario
from lifelong_envs.rl.timetable import Change, Timetable
from lifelong_envs.rl.world import World

_JUDGED_FROM = 1_000_000
"""Seeds of judging lie this far from those of learning: what is judged was not met on the way."""

_FRAMES = "rgb_array"


class ActingStream:
    """A stream of visits to worlds, lived in N lanes that are the same objects from the first step to the last.

    Every lane has all N-th parts of the stream to itself, and changes by itself. `experiences(0)` begins anew;
    `experiences(start)` goes on where the lanes stand, and raises ValueError where that is somewhere else, or where an
    experience was not taken to its end. Lane i begins with seed + i. At a visit's end a warning names lanes that never
    entered its world, because no episode of theirs ended. Raises ValueError for worlds that do not go
    together, an order that names others, a way of changing that they do not allow, and references of only some of the
    worlds that are visited. longest: steps after which an episode of judging is cut.
    """

    def __init__(
        self,
        name: str,
        worlds: Sequence[World],
        timetable: Timetable,
        scenario: Scenario,
        episodes: int = 10,
        join: Join = "none",
        seed: int = 0,
        longest: int = LONGEST,
    ) -> None:
        if seed < 0:
            raise ValueError(f"{name}: seed must be 0 or more, got {seed}.")
        known = {world.task: world for world in worlds}
        self._name = name
        self._timetable = timetable
        self._scenario = scenario
        self._seed = seed
        names = tuple(world.task for world in worlds)
        visits = timetable.visits(names)
        self._changes = timetable.changes(names)
        visited = list(dict.fromkeys(task for task, _ in visits))
        _all_or_none([known[task] for task in visited])
        self._places = look_at([known[task] for task in visited] if len(known) == len(worlds) else worlds, join)
        self._judged: list[Lane] = []
        self._tasks = tuple(self._task(known[task], episodes, longest) for task in visited)
        self._segments = tuple(Segment(task, steps // timetable.experience) for task, steps in visits)
        self._lanes: tuple[Lane, ...] = ()
        self._lanes = self._made()

    @property
    def name(self) -> str:
        return self._name

    @property
    def tasks(self) -> Sequence[EnvTask]:
        """The distinct worlds in order of their first appearance."""
        return self._tasks

    @property
    def segments(self) -> Sequence[Segment]:
        """One segment a visit, whenever in it the lanes really change."""
        return self._segments

    def experiences(self, start: int = 0) -> Iterator[tuple[Interaction, Truth]]:
        """Experiences from step `start` (0-based) on."""
        total = sum(segment.steps for segment in self._segments)
        if not 0 <= start <= total:
            raise ValueError(f"The stream {self.name!r} has {total} steps, it cannot start at step {start}.")
        if start == 0 and any(lane.steps or lane.observation is not None for lane in self._lanes):
            self._lanes = self._made()
        self._hold_to(start)
        return self._from(start)

    def state_dict(self) -> dict[str, Any]:
        """Where the lanes stand: plain data."""
        return {"lanes": [lane.state_dict() for lane in self._lanes]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError for the state of a stream with other settings."""
        if len(state["lanes"]) != len(self._lanes):
            raise ValueError(
                f"The state is of a stream with {len(state['lanes'])} lanes, {self.name!r} has {len(self._lanes)}."
            )
        self._lanes = self._made()
        for lane, lived in zip(self._lanes, state["lanes"], strict=True):
            lane.load_state_dict(lived)

    def _from(self, start: int) -> Iterator[tuple[Interaction, Truth]]:
        lanes, step = self._lanes, 0
        for visit, segment in enumerate(self._segments):
            task = segment.task if self._scenario.labels != "never" else None
            for at in range(segment.steps):
                if step >= start:
                    boundary = self._scenario.boundaries == "shown" and at == 0
                    yield Interaction(lanes, self._timetable.experience, task, boundary), Truth(segment.task, visit)
                    self._hold_to(step + 1)
                    if at + 1 == segment.steps:
                        self._warn_of_those_behind(visit)
                step += 1

    def _warn_of_those_behind(self, visit: int) -> None:
        """At a visit's end: a lane that took its last step elsewhere never was in the visit's world."""
        task = self._segments[visit].task
        behind = [str(number) for number, lane in enumerate(self._lanes) if latest_world(lane) != task]
        if self._changes[visit].way == "episode" and behind:
            warnings.warn(
                f"{self.name}: visit {visit + 1}, to {task!r}, is over and {len(behind)} of {len(self._lanes)} lanes "
                f"({', '.join(behind)}) never entered it: a lane changes with its next episode (change: episode), and "
                "theirs did not end. Give episodes an end (make: {max_episode_steps: N}), change in another way (now, "
                "reset), or make visits longer than episodes.",
                stacklevel=2,
            )

    def _hold_to(self, step: int) -> None:
        """Raises ValueError unless every lane has lived through exactly the experiences before `step`."""
        due = step * self._timetable.experience // self._timetable.lanes
        lived = [lane.steps for lane in self._lanes]
        if any(steps != due for steps in lived):
            raise ValueError(
                f"The lanes of {self.name!r} must have lived {due} steps each before experience {step}, but they have "
                f"lived {lived}. An agent takes all steps of an experience in all lanes, and no more; a stream that is "
                "taken up in its middle needs load_state_dict first."
            )

    def release(self) -> None:
        """Make an end of all environments, and of the processes that they live in."""
        for lane in (*self._lanes, *self._judged):
            lane.close()
        self._places.processes.end()

    def _made(self) -> tuple[Lane, ...]:
        for lane in self._lanes:
            lane.close()
        return tuple(Lane(self._places, self._changes, self._seed + i, number=i) for i in range(self._timetable.lanes))

    def _task(self, world: World, episodes: int, longest: int) -> EnvTask:
        judged: list[Lane] = []

        def lanes(count: int) -> Sequence[Lane]:
            while len(judged) < count:
                judged.append(Lane(self._places, (Change(0, world.task),)))
                self._judged.append(judged[-1])
            return tuple(judged[:count])

        def watched() -> Lane:
            return Lane(self._places, (Change(0, world.task),), render_mode=_FRAMES)

        told = world.task if self._scenario.labels != "never" else None
        draws = _FRAMES in self._places.metadata[self._places.by_task[world.task].body].get("render_modes", ())
        return EnvTask(
            world.task,
            lanes,
            episodes,
            self._seed + _JUDGED_FROM,
            world.measure,
            world.references,
            label=world.task if self._scenario.labels == "judging" else None,
            longest=longest,
            lived=Stage(self._places.observation_space, self._places.action_space, self._timetable.lanes, told),
            env_steps=self._timetable.experience,
            watched=watched if draws and "render_mode" not in world.make else None,
            release=self.release,
        )


def _all_or_none(worlds: Sequence[World]) -> None:
    """Raises ValueError where some have references: a mean of returns as they are and normalised ones says nothing."""
    having, lacking = (
        ", ".join(repr(world.task) for world in worlds if (world.references is not None) is there)
        for there in (True, False)
    )
    if having and lacking:
        raise ValueError(
            f"Worlds with references: {having}; without: {lacking}. Scores would be normalised in some worlds and as "
            "they are in others, and no mean of them would say anything. Give references to all worlds of a stream "
            "(lifelong references CONFIG measures them), or to none."
        )
