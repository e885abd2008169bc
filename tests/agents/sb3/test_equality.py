"""What is learned in chunks, judged in between, is what Stable-Baselines3 alone would have learned, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium
import pytest
import torch
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from lifelong.acting.learner import LifelongActor
from lifelong.evaluation.schedule import Schedule
from lifelong.events import Logged, ShiftDetected, TaskScored
from lifelong.lifetime import run
from lifelong_agents.sb3.finetune_rl import finetune_rl
from lifelong_agents.sb3.lifelong_rl import lifelong_rl
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.world import World
from lifelong_envs.rl.worlds import worlds

SEED = 3
SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [8]}}
OFF = SMALL | {"learning_starts": 40, "batch_size": 16, "buffer_size": 500}
CART, PENDULUM = "CartPole-v1", "Pendulum-v1"
CASES: dict[str, tuple[Any, dict[str, Any], str, int, int, int]] = {
    # algorithm, settings, world, lanes, steps, steps of an experience
    "ppo": (PPO, {"n_steps": 32, "batch_size": 64, "n_epochs": 2, "learning_rate": 1e-3}, CART, 4, 1024, 256),
    "ppo alone": (PPO, SMALL | {"n_steps": 50, "batch_size": 25, "n_epochs": 1}, CART, 1, 300, 100),
    "ppo exploring by state": (PPO, SMALL | {"n_steps": 16, "batch_size": 32, "use_sde": True}, PENDULUM, 2, 256, 64),
    "a2c": (A2C, SMALL, CART, 4, 600, 200),
    "dqn": (DQN, OFF | {"train_freq": 4, "target_update_interval": 50}, CART, 1, 400, 80),
    "dqn in lanes": (DQN, OFF | {"train_freq": 2, "gradient_steps": -1}, CART, 4, 320, 80),
    "sac": (SAC, OFF, PENDULUM, 1, 120, 40),
    "sac by episodes": (SAC, OFF | {"train_freq": (1, "episode"), "gradient_steps": 5}, PENDULUM, 1, 600, 600),
    "td3": (TD3, OFF, PENDULUM, 1, 120, 40),
    "ddpg": (DDPG, OFF, PENDULUM, 1, 120, 40),
    "tqc": ("TQC", OFF, PENDULUM, 1, 90, 30),
    "crossq": ("CrossQ", OFF, PENDULUM, 1, 90, 30),
    "trpo": ("TRPO", SMALL | {"n_steps": 32, "batch_size": 64}, CART, 2, 512, 128),
    "qrdqn": ("QRDQN", OFF | {"train_freq": 8}, CART, 1, 240, 80),
}


WATCHED = ("ppo", "a2c", "dqn in lanes")


VARIANTS = ("ppo alone", "sac by episodes", "ddpg", "tqc", "crossq", "qrdqn")
"""Of algorithms that others stand for where it must be quick."""


@pytest.mark.parametrize(
    ("case", "agent"),
    [pytest.param(c, finetune_rl, marks=[pytest.mark.slow] * (c in VARIANTS)) for c in CASES]
    + [pytest.param(c, lifelong_rl) for c in WATCHED],
)
def test_parameters_and_returns_are_equal(case: str, agent: Callable[..., LifelongActor]) -> None:
    kind, settings, env, count, steps, experience = CASES[case]
    if isinstance(kind, str):
        kind = getattr(pytest.importorskip("sb3_contrib"), kind)
    lanes = DummyVecEnv([lambda: Monitor(gymnasium.make(env))] * count)
    # It writes into its settings.
    model = kind("MlpPolicy", lanes, seed=SEED, **deepcopy(settings))
    model.learn(steps)
    stream = worlds((World("A", env),), Timetable(steps=steps, lanes=count, experience=experience), seed=SEED)
    learner = agent(kind.__name__.lower(), settings, seed=SEED, horizon=steps, **LOOKS.get(agent, {}))
    told = run(stream, learner, seed=SEED, evaluation=Schedule(within=2, within_episodes=1))
    ours = learner.experts[0].policy.model  # type: ignore[attr-defined]
    for name, wanted in model.policy.state_dict().items():
        assert torch.equal(wanted, ours.policy.state_dict()[name]), name
    assert [(e["r"], e["l"]) for e in ours.ep_info_buffer] == [(e["r"], e["l"]) for e in model.ep_info_buffer]
    assert ours.num_timesteps == model.num_timesteps == steps
    assert ours._n_updates == model._n_updates > 0
    # It was judged in between, and looked for shifts where it does so.
    assert len({step for step, e in told.events if isinstance(e, TaskScored)}) == (4 if steps > experience else 2)
    assert not any(isinstance(e, ShiftDetected) for _, e in told.events)
    assert learner.experts[0].model.is_ready == (agent is lifelong_rl and steps > 192)


LOOKS: dict[Any, dict[str, int]] = {lifelong_rl: {"look": 32}}


def test_what_an_algorithm_says_of_itself_is_on_record() -> None:
    stream = worlds((World("A", CART),), Timetable(steps=4096, lanes=8, experience=1024), seed=SEED)
    told = run(stream, finetune_rl("ppo", {"n_steps": 64, "batch_size": 512, "n_epochs": 1}, seed=SEED), seed=SEED)
    said = [e for _, e in told.events if isinstance(e, Logged)]
    assert len(said) == 2
    assert [e.values["time/total_timesteps"] for e in said] == [2048, 4096]
    assert {"train/loss", "train/approx_kl", "rollout/ep_rew_mean"} <= said[-1].values.keys()
    # Nothing that would make two runs of a seed differ.
    assert not {"time/fps", "time/time_elapsed"} & said[-1].values.keys()
