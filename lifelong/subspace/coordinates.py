"""Lets any optimizer step in other coordinates of a weight, W = W0 + movement(theta), such as W0 + A C^T with C fixed.

Source: null-space parametrisation as in NESS (2026) and InfLoRA (Liang & Li 2024, eq. 4). For the user nothing changes:
model and optimizer keep their parameters. Just around a step, the optimizer is given theta in the weight's place, with
the gradient pulled back to it; its moments are of theta's shape and see only what is allowed. Any elementwise optimizer
is safe; weight decay acts on theta. Clipping, scaling and `zero_grad` act on the weight's own gradient, as ever.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lifelong.subspace.factor import Coordinates
from lifelong.subspace.use import Geometry

WHOLE_MATRIX = ("LBFGS", "SparseAdam")
"""Optimizers that keep lists of parameters of their own, or gradients of another kind."""


class CoordinateHold:
    """Trains a weight, and its bias as one more column, in coordinates of their joint movement."""

    def __init__(
        self,
        weight: nn.Parameter,
        bias: nn.Parameter | None,
        geometry: Geometry,
        coordinates: Coordinates,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        if type(optimizer).__name__ in WHOLE_MATRIX:
            raise ValueError(
                f"{type(optimizer).__name__} cannot step in other coordinates of a weight. Attach with form='project', "
                "or take a method that projects, such as Gpm."
            )
        self._weight, self._bias, self._geometry = weight, bias, geometry
        self._coordinates, self._optimizer = coordinates, optimizer
        self._anchor = weight.detach().clone()
        self._bias_anchor = None if bias is None else bias.detach().clone()
        self._theta = nn.Parameter(coordinates.start(self._joint(weight.detach(), self._bias_anchor)))
        self._place: tuple[list[Any], int] | None = None
        self._bias_grad: Tensor | None = None
        # Coordinates that were left in the middle of a task go on where they were.
        self.sync()

    def _joint(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Weight and bias as one (G, O, D) matrix."""
        matrix = self._geometry.matrix(weight)
        return matrix if bias is None else torch.cat([matrix, bias.reshape(*matrix.shape[:2], 1)], dim=2)

    @torch.no_grad()
    def before(self, optimizer: torch.optim.Optimizer) -> None:
        place = None if self._weight.grad is None else _find(optimizer, self._weight)
        if place is None or self._weight.grad is None:
            return
        gradient = None
        if self._bias is not None:
            self._bias_grad = self._bias.grad
            gradient = torch.zeros_like(self._bias) if self._bias.grad is None else self._bias.grad
            # The optimizer passes over parameters without a gradient: the bias moves with the coordinates alone.
            self._bias.grad = None
        self._theta.grad = self._coordinates.pull(self._theta.detach(), self._joint(self._weight.grad, gradient))
        self._place = place
        members, index = place
        members[index] = self._theta
        _hand_over(optimizer, self._weight, self._theta)

    @torch.no_grad()
    def after(self, optimizer: torch.optim.Optimizer) -> None:
        if self._place is None:
            return
        members, index = self._place
        members[index] = self._weight
        self._place, self._theta.grad = None, None
        _hand_over(optimizer, self._theta, self._weight)
        if self._bias is not None:
            self._bias.grad, self._bias_grad = self._bias_grad, None
        self.sync()

    @torch.no_grad()
    def sync(self) -> None:
        """Put the coordinates into the weight, always from the same origin, so that rounding does not add up."""
        moved, moved_bias = self._movement()
        torch.add(self._anchor, moved, out=self._weight.data)
        if self._bias is not None and self._bias_anchor is not None and moved_bias is not None:
            torch.add(self._bias_anchor, moved_bias, out=self._bias.data)

    @torch.no_grad()
    def rebase(self) -> None:
        """The origin becomes what leads to the parameters as they are, by the movement that coordinates begin with."""
        self._theta.copy_(self._coordinates.start(self._joint(self._anchor, self._bias_anchor)))
        moved, moved_bias = self._movement()
        torch.sub(self._weight, moved, out=self._anchor)
        if self._bias is not None and self._bias_anchor is not None and moved_bias is not None:
            torch.sub(self._bias, moved_bias, out=self._bias_anchor)
        self._theta.copy_(self._coordinates.start(self._joint(self._anchor, self._bias_anchor)))

    def _movement(self) -> tuple[Tensor, Tensor | None]:
        """What the coordinates mean for the weight and its bias."""
        moved = self._coordinates.movement(self._theta.detach(), self._geometry.outputs)
        if self._bias is None:
            return self._geometry.tensor(moved, self._weight), None
        return self._geometry.tensor(moved[:, :, :-1], self._weight), moved[:, :, -1].reshape(self._bias.shape)

    def rewound(self) -> None:
        pass

    def tensors(self) -> list[Tensor]:
        biases = [t.detach() for t in (self._bias, self._bias_anchor) if t is not None]
        return [self._weight.detach(), self._anchor, *biases, self._theta.detach()]

    def state_dict(self) -> dict[str, Any]:
        return {"anchor": self._anchor, "bias_anchor": self._bias_anchor, "theta": self._theta.detach()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._anchor.copy_(state["anchor"])
        if self._bias_anchor is not None:
            self._bias_anchor.copy_(state["bias_anchor"])
        # Some coordinates are relative to where they start.
        self._coordinates.start(self._joint(self._anchor, self._bias_anchor))
        self._theta.copy_(state["theta"])

    def describe(self) -> str:
        return self._coordinates.describe()

    def release(self) -> None:
        # Moments of coordinates have another shape than the weight, which is all that is left.
        self._optimizer.state.pop(self._weight, None)


def _find(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> tuple[list[Any], int] | None:
    for group in optimizer.param_groups:
        for index, p in enumerate(group["params"]):
            if p is parameter:
                return group["params"], index
    return None


def _hand_over(optimizer: torch.optim.Optimizer, old: nn.Parameter, new: nn.Parameter) -> None:
    """Moments go with whoever is in the optimizer; between steps that is the weight, so they are saved under it."""
    if old in optimizer.state:
        optimizer.state[new] = optimizer.state.pop(old)
