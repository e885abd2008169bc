"""The layers of a network in the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.experience import Batch
from lifelong.retention.model import Model

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.batchnorm._BatchNorm)


@dataclass(slots=True)
class Run:
    """One layer's run, and what it was given; `norms` are those between it and the next layer."""

    layer: Layer
    inputs: Tensor
    norms: list[nn.Module]


def must_be_plain(model: Model, does: str) -> None:
    """Raises ValueError for weights that are made of others: what is written into these is no weight."""
    made = [
        name for name in model.named() if ".parametrizations." in f".{name}" or name.endswith(("weight_g", "weight_v"))
    ]
    if made:
        raise ValueError(
            f"{does}, and {made[0]!r} is a part from which a weight is made "
            "(torch.nn.utils.parametrize, weight_norm): take this off, or another method, such as ewc."
        )


@torch.no_grad()
def runs(model: Model, batch: Batch) -> list[Run]:
    """Linear layers and convolutions in the order in which they run on a batch, in evaluation mode."""
    found: list[Run] = []

    def note(module: nn.Module, given: tuple[Any, ...]) -> None:
        if isinstance(module, KINDS):
            found.append(Run(module, given[0], []))
        elif found:
            found[-1].norms.append(module)

    wanted = [module for module in model.module.modules() if isinstance(module, (*KINDS, *NORMS))]
    hooks = [module.register_forward_pre_hook(note) for module in wanted]
    try:
        with model.evaluating():
            model.outputs(batch.inputs, batch.contract, batch.task)
    finally:
        for hook in hooks:
            hook.remove()
    return found
