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
    """Put a (P,) vector into the parameters' `grad`."""
    first = 0
    for p in named.values():
        part = vector[first : first + p.numel()].view_as(p)
        first += p.numel()
        if p.grad is None:
            p.grad = part.clone()
        else:
            p.grad.copy_(part)
