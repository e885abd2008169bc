"""Experience replay in one network: the reference that every method with a memory is compared with."""

from __future__ import annotations

import torch

from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.retention.er import Er
from lifelong.retention.memory import Balance
from lifelong_agents.retain import Retain


def er(
    capacity: int = 500,
    batch_size: int | None = None,
    weight: float = 1.0,
    balance: Balance = "reservoir",
    network: Network = Mlp(),
    optimizer: Optimizer = Optimizer(),
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Retain:
    """Experience replay (Chaudhry et al. 2019): one network that learns kept samples with each new batch.

    It need not know where tasks end. capacity: samples kept in all; the other settings are those of the method `er`.
    """
    return Retain((Er(capacity, batch_size, weight, balance),), network, optimizer, seed=seed, device=device)
