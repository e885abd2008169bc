"""LunarLander in other weather, and on another moon."""

from __future__ import annotations

from typing import Any

from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World

_TURNS = Timetable(steps=1_048_576, lanes=16, experience=16_384)


def lunar_lander(
    timetable: Timetable = _TURNS,
    scenario: Scenario = HIDDEN,
    episodes: int = 10,
    gravity: float = -3.0,
    wind: float = 10.0,
    turbulence: float = 1.0,
    continuous: bool = False,
    seed: int = 0,
) -> ActingStream:
    """LunarLander (standard), with another gravity (light; between -12 and 0), and with wind and turbulence (windy).

    They are given to the environment as it is made, so that a world cannot change in the middle of an episode. Needs
    the extra `box2d`. Returns are as they are: 200 counts as solved. PPO comes to some 260, 220 and 150 in a million
    steps of each; who lands on the one moon lands on the other as well.
    """
    make: dict[str, Any] = {"continuous": continuous}
    weather = {"enable_wind": True, "wind_power": wind, "turbulence_power": turbulence}
    worlds = (
        World("standard", "LunarLander-v3", make=make),
        World("light", "LunarLander-v3", make=make | {"gravity": gravity}),
        World("windy", "LunarLander-v3", make=make | weather),
    )
    return ActingStream("lunar_lander", worlds, timetable, scenario, episodes, seed=seed)
