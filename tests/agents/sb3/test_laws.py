"""Agents of Stable-Baselines3's algorithms keep the laws of learners that act."""

from __future__ import annotations

from typing import Any

import pytest
from test_resume import PPO, RARELY, flips, swings

from lifelong.check import check_acting_learner
from lifelong_agents.sb3.finetune_rl import finetune_rl
from lifelong_agents.sb3.lifelong_rl import lifelong_rl
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.scenario import Scenario
from lifelong_envs.rl.timetable import Timetable


def told() -> Any:
    table = Timetable("A B A", 256, lanes=4, experience=128)
    return cartpole_flip(table, Scenario("training", "shown"), episodes=2, seed=3)


AGENTS: dict[str, tuple[Any, Any, int | None]] = {
    # agent, stream, experiences: with a shift before the last of them where any is looked for
    "lifelong ppo": (lambda: lifelong_rl("ppo", PPO, look=64, seed=3), flips, 15),
    "lifelong sac": (lambda: lifelong_rl("sac", RARELY, look=64, seed=3), swings, 15),
    "lifelong ppo that is told": (lambda: lifelong_rl("ppo", PPO, look=96, seed=3), told, None),
    "finetune ppo": (lambda: finetune_rl("ppo", PPO, seed=3), told, None),
    "finetune td3": (lambda: finetune_rl("td3", RARELY, seed=3), swings, 4),
    "sharing ppo": (lambda: lifelong_rl("ppo", PPO, look=64, share="trunk", seed=3), lambda: flips("episode"), 16),
    "sharing dqn": (lambda: lifelong_rl("dqn", RARELY, look=64, share="trunk", seed=3), flips, 16),
}


VARIANTS = ("lifelong sac", "sharing ppo")


@pytest.mark.parametrize("agent", [pytest.param(n, marks=[pytest.mark.slow] * (n in VARIANTS)) for n in AGENTS])
def test_agents_keep_the_laws(agent: str) -> None:
    make, stream, experiences = AGENTS[agent]
    check_acting_learner(make, stream(), experiences)
