"""MiniGrid: one green goal to be reached, in levels that ask for different things on the way."""

from __future__ import annotations

from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World

LEVELS = {
    "empty": "MiniGrid-Empty-Random-6x6-v0",
    "door": "MiniGrid-DoorKey-5x5-v0",
    "lava": "MiniGrid-DistShift1-v0",
    "moved": "MiniGrid-DistShift2-v0",
}

ONE_HOT = (
    "minigrid.wrappers:OneHotPartialObsWrapper",
    "minigrid.wrappers:ImgObsWrapper",
    "gymnasium.wrappers:FlattenObservation",
)
"""What the agent sees of its surroundings, 7 by 7 cells with 20 bits each, as a vector of 980."""

_TURNS = Timetable(steps=81_920, experience=1024)


def minigrid(
    timetable: Timetable = _TURNS,
    scenario: Scenario = HIDDEN,
    view: tuple[str, ...] = ONE_HOT,
    episodes: int = 20,
    seed: int = 0,
) -> ActingStream:
    """An empty room, a door with its key, a strip of lava, and the strip elsewhere: MiniGrid levels with a green goal.

    The agent sees what lies before it, never the whole level. Needs the extra `minigrid`. Returns lie between 0 and 1,
    the more the sooner the goal is reached.
    """
    worlds = tuple(World(task, env, needs="minigrid", view=view) for task, env in LEVELS.items())
    return ActingStream("minigrid", worlds, timetable, scenario, episodes, seed=seed)
