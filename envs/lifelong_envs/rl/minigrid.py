"""MiniGrid: one green goal to be reached, in levels that ask for different things on the way."""

from __future__ import annotations

from lifelong.stream import References
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World

LEVELS = {
    "empty": ("MiniGrid-Empty-Random-6x6-v0", References(0.277, 0.97)),
    "door": ("MiniGrid-DoorKey-5x5-v0", References(0.034, 0.96)),
    "lava": ("MiniGrid-DistShift1-v0", References(0.006, 0.94)),
    "moved": ("MiniGrid-DistShift2-v0", References(0.009, 0.96)),
}
"""Environments, and returns: a random policy's in 1,000 episodes, and PPO's best after 81,920 steps in each alone."""

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
    the more the sooner the goal is reached. Who has learned one level fails in the others, except that a way round lava
    is one through an empty room.
    """
    worlds = tuple(
        World(task, env, needs="minigrid", view=view, references=scale) for task, (env, scale) in LEVELS.items()
    )
    return ActingStream("minigrid", worlds, timetable, scenario, episodes, seed=seed)
