"""Worlds that fail while Stable-Baselines3's algorithms live in them: it is said where, and why."""

from __future__ import annotations

from typing import Any

import pytest

from lifelong.acting.learner import LifelongActor
from lifelong.episodes import play
from lifelong_agents.sb3.finetune_rl import finetune_rl
from lifelong_agents.sb3.lifelong_rl import lifelong_rl
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

PPO, DQN = {"n_steps": 8, "batch_size": 16}, {"learning_starts": 1000, "buffer_size": 1000}


def stream(how: str, at: int = 7) -> Any:
    """Two lanes that are sound for 50 steps each, and fail then at a step of the episode."""
    pair = [
        World(t, "broken_worlds:Failing", make={"how": how, "at": at}, set={"sound": s})
        for t, s in (("A", 1), ("B", 0))
    ]
    return worlds(tuple(pair), Timetable(steps=[100, 300], lanes=2, experience=20, change="now"))


def lives(agent: LifelongActor, how: str) -> None:
    for interaction, _ in stream(how).experiences():
        agent.live(interaction)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raises", r"^world 'B', lane 0, step 57: .*ZeroDivisionError in step\(.*nothing left"),
        ("reward", r"^world 'B', lane 0, step 57: the reward is nan"),
        # A policy would fail at the next step; in a block of ten steps this is found with the block.
        ("observation", r"^world 'B', lane 0, step 57: observation\[1\] is nan"),
    ],
)
@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
@pytest.mark.parametrize("look", [20, 64])
def test_the_world_the_lane_and_the_step_are_said(algorithm: str, look: int, how: str, said: str) -> None:
    settings: Any = PPO if algorithm == "ppo" else DQN
    with pytest.raises(ValueError, match=said) as caught:
        lives(lifelong_rl(algorithm, settings, look=look), how)
    assert "\n" not in str(caught.value)


def test_so_it_is_where_shifts_are_not_looked_for() -> None:
    with pytest.raises(ValueError, match=r"^world 'B', lane 0, step 57: observation\[1\] is nan"):
        lives(finetune_rl("dqn", DQN), "observation")


def test_so_it_is_while_a_learner_is_judged() -> None:
    agent, made = lifelong_rl("ppo", PPO), stream("observation")
    play(agent, made.tasks[0], 1)
    with pytest.raises(ValueError, match=r"^world 'B', judging, step 7: observation\[1\] is nan"):
        play(agent, made.tasks[1], 2)
