"""Training on kept samples: some epochs over tensors that lie in memory, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lifelong.optimizer import Optimizer
from lifelong.pruning import Pruner

Loss = Callable[[Tensor, Tensor], Tensor]
"""(B, C) outputs and their targets -> a mean loss, a scalar."""

Augment = Callable[[Tensor], Tensor]
"""(B, ...) inputs -> inputs of the same shape, changed at random by torch's own random state."""


MOMENTUM = Optimizer("sgd", lr=0.1, momentum=0.9, weight_decay=1e-4)


@dataclass(frozen=True, slots=True)
class Fit:
    """How to train on kept samples: epochs, batches, optimizer, and when its rate falls.

    milestones: shares of the epochs after which the learning rate is multiplied by `gamma`; they scale with the
    epochs. The defaults are those with which TAME retrains a pruned expert.
    """

    epochs: int = 200
    batch_size: int = 128
    optimizer: Optimizer = MOMENTUM
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"A fit needs at least one epoch and one sample a batch, got epochs={self.epochs}, "
                f"batch_size={self.batch_size}."
            )
        if not all(0.0 < at < 1.0 for at in self.milestones) or not 0.0 < self.gamma <= 1.0:
            raise ValueError(
                f"milestones are shares of the epochs in (0, 1) and gamma a factor in (0, 1], got "
                f"milestones={list(self.milestones)}, gamma={self.gamma}."
            )


RETRAINING = Fit()


def fit(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss,
    recipe: Fit,
    seed: int,
    pruner: Pruner | None = None,
    augment: Augment | None = None,
) -> None:
    """Train `module` in place on (N, ...) inputs and their targets, shuffled anew each epoch; leave it in eval mode.

    Depends on what is given alone, on no random state from outside, and leaves that as it was. pruner: of this
    module; its masks hold throughout. Raises ValueError where there is nothing to train on.
    """
    if not len(inputs) or len(inputs) != len(targets):
        raise ValueError(
            f"fit needs as many targets as inputs and at least one, got {len(inputs)} inputs, {len(targets)} targets."
        )
    optimizer = recipe.optimizer.over(module.parameters())
    milestones = sorted({round(at * recipe.epochs) for at in recipe.milestones})
    rates = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, recipe.gamma)
    handle = None if pruner is None else pruner.attach(optimizer)
    module.train()
    with torch.random.fork_rng([inputs.device] if inputs.is_cuda else []), torch.enable_grad():
        torch.manual_seed(seed)
        for _ in range(recipe.epochs):
            for rows in torch.split(torch.randperm(len(inputs)).to(inputs.device), recipe.batch_size):
                batch = inputs[rows] if augment is None else augment(inputs[rows])
                value = loss(module(batch), targets[rows])
                optimizer.zero_grad(set_to_none=True)
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            rates.step()
    if handle is not None:
        handle.detach()
    for p in module.parameters():
        p.grad = None
    module.eval()
