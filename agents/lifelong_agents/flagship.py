"""The lifelong agent: notices shifts by itself, reuses the expert that knows the new world or spawns one."""

from __future__ import annotations

import torch

from lifelong.anchor import Anchor
from lifelong.dispatch import Dispatcher
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.pruning import Gradual
from lifelong.retention.method import Retention
from lifelong.routing.gaussian import GaussianRouter
from lifelong.routing.router import Router
from lifelong.shelf import Shelf
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.shift.unlabelled.watch import Unlabelled
from lifelong.start import Start
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.trail import Trail
from lifelong.upbringing import Sharing, Upbringing
from lifelong.watch import Watch


def flagship(
    network: Network = Mlp(),
    optimizer: Optimizer = Optimizer(),
    detector: Detector = Cusum(),
    falls: Detector | None = None,
    inputs: Unlabelled | None = None,
    drift_every: int | None = 250,
    router: Router = GaussianRouter(),
    share: Sharing = "auto",
    start: Start = "auto",
    subspace: Method = Gpm(),
    tolerance: float = 0.1,
    max_experts: int | None = None,
    max_parameters: int | None = None,
    prune: Gradual | None = None,
    archive: str | None = None,
    hot: int = 8,
    memory: int = 1000,
    sync_every: int = 1,
    rank: int = 8,
    read_every: int | None = None,
    retention: tuple[Retention, ...] = (),
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> LifelongLearner:
    """Lifelong agent without task labels: shift detection, reuse or spawn of experts, protected shared trunks, routing.

    detector: alarms where the loss rises. falls: where it falls all at once, in a world that is easier; one that
    does not alarm when values fall is refused. inputs: where the inputs change, labels or not. drift_every: batches
    between two looks for drift that gives no alarm.
    share: whether new experts build on an old trunk (never, always, auto: where its features serve the new task;
    adapters: all do, the trunk stands still once there are two, and each trains adapters of this `rank` on it).
    start: the first weights of an expert that builds on no old trunk: those of the common ancestor; of the nearest
    expert; composed from several; auto: of the nearest one where it explains most of the new world.
    subspace: how a shared trunk is protected; with share: never there is none. tolerance: unexplained share (0..1) of
    the evidence up to which an old expert is reused. max_experts, max_parameters: null for no limit. prune: how
    experts become small while they learn; with share: never. archive: a folder
    for experts that nobody has asked for lately, all but the `hot` latest ones (null: all stay in memory). memory:
    latest samples kept to consolidate from. sync_every: steps after which a shared trunk's forbidden movement is taken
    out (1: at once; more is cheaper). read_every: batches between two looks at the loss (null: 1 on the CPU, 8 on a
    GPU). retention: methods that remind each expert of what it learned before, beside all this; with share: never.
    """
    upbringing = Upbringing(
        network,
        optimizer,
        Watch(detector, falls, inputs),
        subspace=subspace,
        share=share,
        start=start,
        limit=max_experts,
        budget=max_parameters,
        shelf=None if archive is None else Shelf(archive),
        hot=hot,
        prune=prune,
        tolerance=tolerance,
        sync_every=sync_every,
        rank=rank,
        retention=retention,
    )
    looks = read_every if read_every is not None else 1 if torch.device(device).type == "cpu" else 8
    anchor = None if drift_every is None else Anchor(drift_every, max(tolerance, 0.01))
    return LifelongLearner(Pool(upbringing, seed, device), Dispatcher(router), Trail(memory=memory), looks, anchor)
