"""The flagship for worlds to act in: experts that act, spawned and found again without being told."""

from __future__ import annotations

from typing import Any

from lifelong.acting.learner import LifelongActor
from lifelong.acting.signals import ModelError, Signal
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong_agents.sb3.algorithm import Sb3


def lifelong_rl(
    algorithm: str = "ppo",
    settings: dict[str, Any] | None = None,
    detector: Detector | None = Cusum(),
    signal: Signal = ModelError(),
    look: int = 256,
    max_experts: int | None = None,
    policy: str | None = None,
    horizon: int = 100_000,
    seed: int = 0,
    device: str = "cpu",
) -> LifelongActor:
    """Separate experts, each a whole model of one Stable-Baselines3 algorithm with a model of its world.

    algorithm, settings, policy, horizon: see `lifelong_agents.sb3.algorithm.Sb3`. detector: watches what `signal` says
    every `look` environment steps (null: shifts are not looked for). max_experts: null for no limit.
    """
    return LifelongActor(
        Sb3(algorithm, settings, policy, horizon, seed, device), detector, signal, look, max_experts, seed
    )
