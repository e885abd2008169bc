"""One network under gradient projection memory, with the task boundaries from a shift detector instead of an oracle."""

from __future__ import annotations

import torch

from lifelong.dispatch import Dispatcher
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool, Upbringing
from lifelong.routing.gaussian import GaussianRouter
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.trail import Trail


def gpm(
    network: Network = Mlp(bias=False),
    optimizer: Optimizer = Optimizer(name="sgd", lr=0.05, momentum=0.5),
    detector: Detector = Cusum(),
    subspace: Method = Gpm(),
    memory: int = 1000,
    sync_every: int = 1,
    read_every: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> LifelongLearner:
    """GPM (Saha et al. 2021) in one single network and head, task boundaries detected, any optimizer.

    subspace: the method, if it shall not be GPM. memory: latest samples kept to consolidate from. sync_every: steps
    after which the forbidden part of the movement is taken out; more than 1 is cheaper and costs accuracy where new
    tasks use the old tasks' input directions.
    """
    upbringing = Upbringing(
        network,
        optimizer,
        detector,
        subspace=subspace,
        sync_every=sync_every,
        limit=1,
        heads_too=True,
    )
    looks = read_every if read_every is not None else 1 if torch.device(device).type == "cpu" else 8
    return LifelongLearner(Pool(upbringing, seed, device), Dispatcher(GaussianRouter()), Trail(memory=memory), looks)
