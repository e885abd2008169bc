"""One network under gradient projection memory, with the task boundaries from a shift detector instead of an oracle."""

from __future__ import annotations

import torch

from lifelong.anchor import Anchor
from lifelong.dispatch import Dispatcher
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.retention.method import Retention
from lifelong.routing.gaussian import GaussianRouter
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.trail import Trail
from lifelong.upbringing import Upbringing
from lifelong.watch import Watch


def gpm(
    network: Network = Mlp(bias=False),
    optimizer: Optimizer = Optimizer(name="sgd", lr=0.05, momentum=0.5),
    detector: Detector = Cusum(),
    inputs: Unlabelled | None = None,
    drift_every: int | None = 250,
    subspace: Method = Gpm(),
    memory: int = 1000,
    sync_every: int = 1,
    read_every: int | None = None,
    retention: tuple[Retention, ...] = (),
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> LifelongLearner:
    """GPM (Saha et al. 2021) in one single network and head, task boundaries detected, any optimizer.

    detector: alarms where the loss rises. inputs: where the inputs change. drift_every: batches between two looks for
    drift that gives no alarm. subspace: the method, if it shall not be GPM. memory: latest samples kept to consolidate
    from. sync_every: steps after which the forbidden part of the movement is taken out; more than 1 is cheaper and
    costs accuracy where new tasks use the old tasks' input directions. retention: methods that work beside it, such as
    replay.
    """
    upbringing = Upbringing(
        network,
        optimizer,
        Watch(detector, None, inputs),
        subspace=subspace,
        sync_every=sync_every,
        limit=1,
        heads_too=True,
        retention=retention,
    )
    looks = read_every if read_every is not None else 1 if torch.device(device).type == "cpu" else 8
    anchor = None if drift_every is None else Anchor(drift_every)
    pool, dispatcher = Pool(upbringing, seed, device), Dispatcher(GaussianRouter())
    return LifelongLearner(pool, dispatcher, Trail(memory=memory), looks, anchor)
