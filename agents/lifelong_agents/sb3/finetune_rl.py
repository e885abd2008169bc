"""The reference: one Stable-Baselines3 model that goes on learning, whatever happens to its world."""

from __future__ import annotations

from typing import Any

from lifelong.acting.learner import LifelongActor
from lifelong_agents.sb3.algorithm import Sb3


def finetune_rl(
    algorithm: str = "ppo",
    settings: dict[str, Any] | None = None,
    policy: str | None = None,
    horizon: int = 100_000,
    seed: int = 0,
    device: str = "cpu",
) -> LifelongActor:
    """One model for everything: what plain Stable-Baselines3 would do with the stream, to the last digit."""
    return LifelongActor(Sb3(algorithm, settings, policy, horizon, seed, device), None, seed=seed, max_experts=1)
