"""The flagship for worlds to act in: experts that act, spawned and found again without being told."""

from __future__ import annotations

from typing import Any

from lifelong.acting.learner import LifelongActor
from lifelong.acting.signals import ModelError, Signal
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong_agents.sb3.algorithm import Sb3, Share

PROTECTED = Gpm(energy=0.95, first_energy=0.95)
"""Of a network as small as a policy's, more would leave too little to learn the next world with."""


def lifelong_rl(
    algorithm: str = "ppo",
    settings: dict[str, Any] | None = None,
    detector: Detector | None = Cusum(),
    signal: Signal = ModelError(),
    look: int = 256,
    max_experts: int | None = None,
    policy: str | None = None,
    horizon: int = 100_000,
    share: Share = "never",
    subspace: Method = PROTECTED,
    starts: bool = True,
    inherit: bool = False,
    seed: int = 0,
    device: str = "cpu",
) -> LifelongActor:
    """Experts that act, each with a model of its world.

    share: "never" gives each a whole model of the algorithm; "trunk" one model to all, with heads of their own, whose
    trunk `subspace` protects: what an expert used of it cannot be unlearned by the others.

    algorithm, settings, policy, horizon: see `lifelong_agents.sb3.algorithm.Sb3`. detector: watches what `signal` says
    every `look` environment steps (null: shifts are not looked for). starts: whether first observations of episodes
    that are unlike all earlier ones are a sign, too. inherit: whether a new expert begins with the policy of the one
    before it, instead of with none. max_experts: null for no limit.
    """
    experts = Sb3(algorithm, settings, policy, horizon, seed, device, share, subspace)
    return LifelongActor(experts, detector, signal, look, max_experts, seed, starts, inherit)
