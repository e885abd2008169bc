"""A trained network made small: pruned in one go, then trained again on samples that were kept for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from lifelong.fit import RETRAINING, Augment, Fit, Loss, fit
from lifelong.pruning import Pruner, Scope


@dataclass(frozen=True, slots=True)
class Thinning:
    """How a trained network is made small: the share of its parameters to prune, where, and how it is trained again.

    scope: magnitudes compared over all layers (global) or within each (layer). biases: kept, or pruned like weights.
    Source: Han et al. 2015 (prune, then retrain what is left).
    """

    share: float = 0.98
    scope: Scope = "global"
    biases: Literal["keep", "prune"] = "keep"
    fit: Fit = RETRAINING

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share must be in (0, 1), the part of the parameters that is pruned, got {self.share}.")

    def left(self, parameters: int) -> int:
        """How many of so many parameters are left."""
        return parameters - round(self.share * parameters)


def thin(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss,
    thinning: Thinning,
    seed: int,
    augment: Augment | None = None,
) -> Pruner:
    """Prune `module` in place and retrain it on (N, ...) inputs and targets; the pruner that holds its masks.

    Raises ValueError where nothing is there to retrain on, or the share takes more than all weights.
    """
    pruner = Pruner(module, thinning.scope, thinning.biases)
    pruner.prune(thinning.share)
    fit(module, inputs, targets, loss, thinning.fit, seed, pruner, augment)
    return pruner
