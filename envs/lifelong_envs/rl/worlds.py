"""Any worlds of one's own, in any order."""

from __future__ import annotations

from lifelong.stream import LONGEST
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.joined import Join
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import TURNS, Timetable
from lifelong_envs.rl.world import World


def worlds(
    worlds: tuple[World, ...],
    timetable: Timetable = TURNS,
    scenario: Scenario = HIDDEN,
    join: Join = "none",
    episodes: int = 10,
    seed: int = 0,
    longest: int = LONGEST,
) -> ActingStream:
    """A stream of worlds to act in, one after the other: any gymnasium environments, and variants of them.

    `join`: how worlds with different spaces come to share one pair. `episodes`: of a world, to be judged by;
    `longest`: steps after which such an episode is cut.
    """
    return ActingStream(
        f"worlds {', '.join(w.task for w in worlds)}", worlds, timetable, scenario, episodes, join, seed, longest
    )
