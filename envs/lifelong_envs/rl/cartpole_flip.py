"""CartPole whose two actions change places."""

from __future__ import annotations

from lifelong.stream import References
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import TURNS, Timetable
from lifelong_envs.rl.world import World

_SCALE = References(random=22.4, expert=500.0)
"""A random policy's mean of 1,000 episodes, and the most that an episode can bring, which PPO learns in both worlds."""


def cartpole_flip(
    timetable: Timetable = TURNS,
    scenario: Scenario = HIDDEN,
    episodes: int = 10,
    seed: int = 0,
) -> ActingStream:
    """CartPole (A), then CartPole with left and right swapped (B): what is good in one is bad in the other.

    First observations are the same in both; only what actions do tells them apart.
    """
    worlds = (
        World("A", "CartPole-v1", references=_SCALE),
        World("B", "CartPole-v1", actions=(1, 0), references=_SCALE),
    )
    return ActingStream("cartpole_flip", worlds, timetable, scenario, episodes, seed=seed)
