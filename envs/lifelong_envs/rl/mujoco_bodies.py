"""A robot of MuJoCo whose weight, ground and gravity change."""

from __future__ import annotations

from typing import Literal

from lifelong.stream import References
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World

Robot = Literal["inverted_pendulum", "half_cheetah", "hopper"]

_TURNS = Timetable(steps=204_800, experience=2048)


_MOON: dict[str, float | str] = {"model.opt.gravity[2]": "x0.165"}


def _heavy(body: int, times: int) -> dict[str, float | str]:
    """A body of the same shape, made of something heavier."""
    axes = {f"model.body_inertia[{body}][{axis}]": f"x{times}" for axis in range(3)}
    return {f"model.body_mass[{body}]": f"x{times}", **axes}


def _slippery(geoms: int) -> dict[str, float | str]:
    """Less sliding friction of all geoms: of two that touch, the larger one counts."""
    return {f"model.geom_friction[{geom}][0]": "x0.2" for geom in range(geoms)}


ROBOTS: dict[str, tuple[str, dict[str, dict[str, float | str]]]] = {
    "inverted_pendulum": (
        "InvertedPendulum-v5",
        {
            "standard": {},
            "heavy": {
                "model.body_mass[2]": "x10",
                "model.body_inertia[2][0]": "x10",
                "model.body_inertia[2][1]": "x10",
            },
            "stiff": {"model.dof_damping[0]": "x100"},
            "moon": _MOON,
            "reversed": {"model.actuator_gear[0][0]": "x-1"},
        },
    ),
    "half_cheetah": (
        "HalfCheetah-v5",
        {
            "standard": {},
            "heavy": _heavy(1, 3),
            "slippery": _slippery(9),
            "moon": _MOON,
        },
    ),
    "hopper": (
        "Hopper-v5",
        {
            "standard": {},
            "heavy": _heavy(1, 3),
            "slippery": _slippery(5),
            "moon": _MOON,
        },
    ),
}
"""Environments by the robot's name, and what is set in each of its worlds. Needs the extra `mujoco`."""

_RANDOM = {"standard": 5.1, "heavy": 6.5, "stiff": 7.8, "moon": 5.5, "reversed": 5.0}
_BEST = 1000.0
"""Of the pendulum: a random policy's mean of 1,000 episodes, and the longest episode, which PPO's policies reach."""


def mujoco_bodies(
    robot: Robot = "inverted_pendulum",
    timetable: Timetable = _TURNS,
    scenario: Scenario = HIDDEN,
    episodes: int = 10,
    seed: int = 0,
) -> ActingStream:
    """A MuJoCo robot (standard), with a heavier body, less friction (or more, in the pendulum's rail), on the moon.

    The pendulum's motor can also be reversed, which is what asks for another policy: one that balances the standard
    pendulum balances the heavy, the stiff and the moon's as well. Returns of the other robots are as they are.
    """
    if robot not in ROBOTS:
        raise ValueError(f"mujoco_bodies: robot={robot!r}, expected one of {', '.join(map(repr, ROBOTS))}.")
    env, variants = ROBOTS[robot]
    scale = {task: References(value, _BEST) for task, value in _RANDOM.items()} if robot == "inverted_pendulum" else {}
    worlds = tuple(World(task, env, set=dict(new), references=scale.get(task)) for task, new in variants.items())
    return ActingStream(f"mujoco_bodies {robot}", worlds, timetable, scenario, episodes, seed=seed)
