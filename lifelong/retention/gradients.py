"""Gradients of a network as one vector, in the order in which it names its parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifelong.experience import Batch
from lifelong.retention.er import mean_loss
from lifelong.retention.model import Model


def gradients(model: Model, batches: Sequence[Batch]) -> Tensor:
    """(P,) the gradient of the mean loss over these samples; what is in `grad` stays as it is.

    As in the papers it is a pass in training mode, which BatchNorms take notice of.
    """
    named = model.named()
    with torch.enable_grad():
        found = torch.autograd.grad(mean_loss(model, list(batches)), list(named.values()), allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(found, named.values(), strict=True)]
    )


@torch.no_grad()
def set_gradients(named: dict[str, nn.Parameter], vector: Tensor) -> None:
    """Put a (P,) vector into the parameters' `grad`; who has none and is given zeros alone stays without one.

    With a gradient of zero, decay and momentum would move what this step is not about. To look means to wait for the
    device: done once for all, and only where somebody has no gradient.
    """
    without: list[tuple[nn.Parameter, Tensor]] = []
    parts = torch.split(vector, [p.numel() for p in named.values()])
    for p, part in zip(named.values(), parts, strict=True):
        if p.grad is None:
            without.append((p, part.view_as(p)))
        else:
            p.grad.copy_(part.view_as(p))
    moves = torch.stack([part.any() for _, part in without]).tolist() if without else []
    for (p, part), moved in zip(without, moves, strict=True):
        if moved:
            p.grad = part.clone()
