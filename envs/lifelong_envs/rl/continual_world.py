"""Continual World on Meta-World's third version: ten tasks of a robot's arm, once or twice.

Source: M. Wolczyk, M. Zajac, R. Pascanu, L. Kucinski, P. Milos, Continual World: A Robotic Benchmark for Continual
Reinforcement Learning (2021): the tasks and their order, a million steps each, episodes of 200 steps, goals and objects
placed anew in each episode, success as the measure. Theirs were tasks of Meta-World's first version.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import gymnasium

from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World

TEN = (
    "hammer",
    "push-wall",
    "faucet-close",
    "push-back",
    "stick-pull",
    "handle-press-side",
    "push",
    "shelf-place",
    "window-close",
    "peg-unplug-side",
)

_EPISODE = 200
_MILLION = Timetable(steps=1_000_000, experience=8000, change="reset")


class Placed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A Meta-World task that places its goal and objects anew in each episode, as `reset(seed=...)` has it.

    Meta-World itself keeps the places of its first episode, and leaves the seed of a reset out of account.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        arm: Any = env.unwrapped
        arm._freeze_rand_vec = False
        arm.seeded_rand_vec = True
        self._arm = arm
        # The space that it was registered with leaves no room for goals.
        self.observation_space = arm.sawyer_observation_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self._arm.seed(seed)
        return self.env.reset(seed=seed, options=options)


def continual_world(
    tasks: Literal["CW10", "CW20"] = "CW10",
    timetable: Timetable = _MILLION,
    scenario: Scenario = HIDDEN,
    episodes: int = 10,
    seed: int = 0,
) -> ActingStream:
    """CW10: ten tasks of Meta-World v3, one after the other; CW20: the same twice. Judged by the share of successes.

    An `order` in the timetable goes before; it names tasks such as push-wall. Needs the extra `metaworld`. Observations
    have 39 numbers, actions 4.
    """
    if tasks not in ("CW10", "CW20"):
        raise ValueError(f"continual_world: tasks={tasks!r}, expected 'CW10' or 'CW20'.")
    if timetable.order is None:
        timetable = replace(timetable, order=list(TEN * (2 if tasks == "CW20" else 1)))
    worlds = tuple(
        World(
            name,
            "Meta-World/goal_observable",
            make={"env_name": f"{name}-v3", "seed": 0, "max_episode_steps": _EPISODE},
            needs="metaworld",
            view=("lifelong_envs.rl.continual_world:Placed",),
            measure="success",
        )
        for name in TEN
        if name in timetable.named
    )
    return ActingStream(f"continual_world {tasks}", worlds, timetable, scenario, episodes, seed=seed)
