"""CartPole under other laws of nature."""

from __future__ import annotations

from lifelong.stream import References
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import TURNS, Timetable
from lifelong_envs.rl.world import World

_BEST = 500.0
"""The most that an episode can bring; PPO comes to it in each of these worlds within 41k steps on some seeds."""

WORLDS = (
    World("standard", "CartPole-v1", references=References(22.4, _BEST)),
    World("hanging", "CartPole-v1", set={"gravity": -9.8}, references=References(30.1, _BEST)),
    World("short", "CartPole-v1", set={"length": "x0.1"}, references=References(5.9, _BEST)),
    World("forceful", "CartPole-v1", set={"force_mag": "x10"}, references=References(6.1, _BEST)),
)


def cartpole_physics(
    timetable: Timetable = TURNS,
    scenario: Scenario = HIDDEN,
    episodes: int = 10,
    seed: int = 0,
) -> ActingStream:
    """CartPole (standard), with gravity upside down (hanging), a pole a tenth as long (short), ten times the force.

    A policy that was learned in one fails in another as a rule, though not in each pair and not both ways. Returns of
    a random policy are means of 1,000 episodes.
    """
    return ActingStream("cartpole_physics", WORLDS, timetable, scenario, episodes, seed=seed)
