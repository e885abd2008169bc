"""The lifelong agent: notices shifts by itself, reuses the expert that knows the new world or spawns one."""

from __future__ import annotations

import torch

from lifelong.dispatch import Dispatcher
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool, Sharing, Upbringing
from lifelong.routing.gaussian import GaussianRouter
from lifelong.routing.router import Router
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.trail import Trail


def flagship(
    network: Network = Mlp(),
    optimizer: Optimizer = Optimizer(),
    detector: Detector = Cusum(),
    router: Router = GaussianRouter(),
    share: Sharing = "auto",
    subspace: Method = Gpm(),
    tolerance: float = 0.1,
    max_experts: int | None = None,
    memory: int = 1000,
    sync_every: int = 1,
    rank: int = 8,
    read_every: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> LifelongLearner:
    """Lifelong agent without task labels: shift detection, reuse or spawn of experts, protected shared trunks, routing.

    share: whether new experts build on an old trunk (never, always, auto: where its features serve the new task;
    adapters: all do, the trunk stands still once there are two, and each trains adapters of this `rank` on it).
    subspace: how a shared trunk is protected; with share: never there is none. tolerance: unexplained share (0..1) of
    the evidence up to which an old expert is reused. max_experts: null for no limit. memory: latest samples kept to
    consolidate from. sync_every: steps after which a shared trunk's forbidden movement is taken out (1: at once; more
    is cheaper). read_every: batches between two looks at the loss (null: 1 on the CPU, 8 on a GPU).
    """
    upbringing = Upbringing(
        network,
        optimizer,
        detector,
        subspace=subspace,
        share=share,
        limit=max_experts,
        tolerance=tolerance,
        sync_every=sync_every,
        rank=rank,
    )
    looks = read_every if read_every is not None else 1 if torch.device(device).type == "cpu" else 8
    return LifelongLearner(Pool(upbringing, seed, device), Dispatcher(router), Trail(memory=memory), looks)
