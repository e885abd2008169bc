"""Holds a weight, and its bias, to projections of its step: exact after every sync, for any optimizer.

Cost of a sync for a (O, D) weight and K kept columns: 4 O D K flops; K is at most D / 2, whatever is protected. With
`gradients` as much again at every step, for optimizers that divide by moments of what they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.subspace.factor import Factor, Projection
from lifelong.subspace.use import Geometry


@dataclass(frozen=True, slots=True)
class View:
    """One way in which a weight is a linear map, and what its steps may do there; `joint`: the bias is a column."""

    geometry: Geometry
    joint: bool
    projection: Projection

    def to(self, like: Tensor) -> View:
        device, dtype = like.device, torch.float64 if like.dtype == torch.float64 else torch.float32
        p = self.projection
        rows = None if p.rows is None else p.rows.to(device)
        right, left = _moved(p.right, device, dtype), _moved(p.left, device, dtype)
        return View(self.geometry, self.joint, Projection(right, left, rows, p.coordinates))


class SubspaceHold:
    """Every `every` steps, takes out of the weight's movement what its projections do not permit.

    gradients: take it out of the gradients too, in place, before the optimizer sees them.
    """

    def __init__(
        self,
        weight: nn.Parameter,
        bias: nn.Parameter | None,
        views: Sequence[View],
        every: int = 1,
        gradients: bool = False,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}.")
        self.weight, self.bias, self.every, self.gradients, self._waiting = weight, bias, every, gradients, 0
        self.views = [view.to(weight) for view in views]
        self._hard = all(view.projection.hard for view in views)
        self._single = _single(self.views, weight)
        self.anchor = weight.detach().clone()
        self.bias_anchor = None if bias is None else bias.detach().clone()

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        if self.gradients:
            self.sift()

    @torch.no_grad()
    def sift(self) -> None:
        """Leave of the gradients what is permitted."""
        of_weight, of_bias = self.weight.grad, None if self.bias is None else self.bias.grad
        if (of_weight is None and of_bias is None) or (of_weight is not None and of_weight.is_sparse):
            return
        if self._single is not None and not self._single[1] and of_weight is not None and of_weight.is_contiguous():
            factor, flat = self._single[0], of_weight.flatten(1)
            kept = factor.columns[0]
            if factor.complement:
                torch.mm(flat @ kept, kept.T, out=flat)
            else:
                flat.addmm_(flat @ kept, kept.T, alpha=-1)
            return
        step = torch.zeros_like(self.weight) if of_weight is None else full(of_weight)
        bias_step = None
        if self.bias is not None:
            bias_step = torch.zeros_like(self.bias) if of_bias is None else full(of_bias)
        for view in self.views:
            step, bias_step = permitted(view, step, bias_step)
        for gradient, allowed in ((of_weight, step), (of_bias, bias_step)):
            if gradient is not None and allowed is not None:
                gradient.copy_(allowed)

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        self._waiting += 1
        if self._waiting >= self.every:
            self.sync()

    def sync(self) -> None:
        if self._waiting:
            self.judge()

    @torch.no_grad()
    def judge(self) -> None:
        """Take out now what is not permitted of the movement, whoever has moved the weight."""
        self._waiting = 0
        if self._single is not None:
            self._retract(*self._single)
            return
        # Half precision is for the model: what may move is worked out in single.
        step = full(self.weight.detach()) - full(self.anchor)
        bias_step = None
        if self.bias is not None and self.bias_anchor is not None:
            bias_step = full(self.bias.detach()) - full(self.bias_anchor)
        for view in self.views:
            step, bias_step = permitted(view, step, bias_step)
        self.weight.copy_(step.add_(self.anchor))
        if self.bias is not None and self.bias_anchor is not None and bias_step is not None:
            self.bias.copy_(bias_step + self.bias_anchor)
        if not self._hard:
            # Weakening twice is not weakening once: what was permitted is not judged again.
            self._take()

    def _retract(self, factor: Factor, joint: bool) -> None:
        """The usual case, one projection from the right, without copies of weight and bias in one matrix."""
        columns, size = factor.columns[0], self.anchor.flatten(1).shape[1]
        kept = columns[:size]
        weight, anchor = self.weight.data.flatten(1), self.anchor.flatten(1)
        inside = (weight - anchor) @ kept
        if joint and self.bias is not None and self.bias_anchor is not None:
            bias, last = self.bias.data, columns[size]
            inside = torch.addr(inside, bias - self.bias_anchor, last)
            if factor.complement:
                torch.addmv(self.bias_anchor, inside, last, out=bias)
            else:
                bias.addmv_(inside, last, alpha=-1)
        if factor.complement:
            torch.addmm(anchor, inside, kept.T, out=weight)
        else:
            weight.addmm_(inside, kept.T, alpha=-1)

    @torch.no_grad()
    def _take(self) -> None:
        self.anchor.copy_(self.weight)
        if self.bias is not None and self.bias_anchor is not None:
            self.bias_anchor.copy_(self.bias)

    def rebase(self) -> None:
        self._take()
        self._waiting = 0

    def rewound(self) -> None:
        self._waiting = 0

    def tensors(self) -> list[Tensor]:
        biases = [t.detach() for t in (self.bias, self.bias_anchor) if t is not None]
        return [self.weight.detach(), self.anchor, *biases]

    def state_dict(self) -> dict[str, Any]:
        return {"anchor": self.anchor, "bias_anchor": self.bias_anchor, "waiting": self._waiting}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.anchor.copy_(state["anchor"])
        if self.bias_anchor is not None:
            self.bias_anchor.copy_(state["bias_anchor"])
        self._waiting = state["waiting"]

    def describe(self) -> str:
        return f"{'gradients and ' if self.gradients else ''}project every {self.every}"

    def release(self) -> None:
        self.sync()


def _single(views: Sequence[View], weight: Tensor) -> tuple[Factor, bool] | None:
    if len(views) != 1 or not weight.is_contiguous() or weight.dtype not in (torch.float32, torch.float64):
        return None
    geometry, projection = views[0].geometry, views[0].projection
    right = projection.right
    alone = projection.left is None and projection.rows is None and geometry.groups == 1 and not geometry.transposed
    return (right, views[0].joint) if alone and right is not None and right.hard else None


def permitted(view: View, step: Tensor, bias_step: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Steps of a weight and its bias -> the parts that a view permits."""
    geometry, projection = view.geometry, view.projection
    matrix = geometry.matrix(step)
    if bias_step is None or not view.joint:
        allowed = geometry.tensor(projection.permit(matrix), step)
        if bias_step is not None and projection.rows is not None:
            # Where a row may not move, neither may the bias that is added to what it gives.
            bias_step = torch.where(projection.rows, 0.0, bias_step)
        return allowed, bias_step
    column = bias_step.reshape(geometry.groups, geometry.outputs, 1)
    both = projection.permit(torch.cat([matrix, column], dim=2))
    return geometry.tensor(both[:, :, :-1], step), both[:, :, -1].reshape(bias_step.shape)


def _moved(factor: Factor | None, device: torch.device, dtype: torch.dtype) -> Factor | None:
    return None if factor is None else Factor(factor.columns.to(device, dtype), factor.complement, factor.hard)


def full(tensor: Tensor) -> Tensor:
    """At least in single precision."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
