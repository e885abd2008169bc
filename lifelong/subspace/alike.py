"""Holds weights of one shape to projections of their steps together: one pair of products for all of them.

On a GPU a small product costs the time of its launch, and a transformer has dozens of weights that are alike. L weights
of G matrices (O, D) are one layer of L G groups here; factors of fewer columns are filled up with zeros, which protect
nothing. Nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.holds import SubspaceHold, full
from lifelong.subspace.use import Geometry

WIDTHS = 8
"""Columns are filled up to a multiple of this, so that every matrix begins where a GPU reads fastest."""


class Stack:
    """L parameters of one shape, and where they began, as one tensor each."""

    def __init__(self, parameters: Sequence[nn.Parameter], anchors: Sequence[Tensor], geometry: Geometry) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.anchors = torch.stack(list(anchors))
        self._geometry = replace(geometry, groups=len(self.parameters) * geometry.groups)

    def now(self) -> Tensor:
        """(L G, O, D) as the parameters are, in a tensor that nobody else has."""
        return self._geometry.matrix(full(torch.stack(self.parameters)))

    def origin(self) -> Tensor:
        """(L G, O, D) anchors, in the parameters' own precision."""
        return self._geometry.matrix(self.anchors)

    def put(self, matrix: Tensor) -> None:
        """Set the parameters to these (L G, O, D) matrices."""
        values = self._geometry.tensor(matrix, self.anchors).to(self.anchors.dtype)
        torch._foreach_copy_(self.parameters, list(values.unbind()))

    def gradients(self) -> Tensor:
        """(L G, O, D), zeros for parameters that have none."""
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        return self._geometry.matrix(full(torch.stack(found)))

    def put_gradients(self, matrix: Tensor) -> None:
        """Set the gradients of parameters that have one."""
        values = self._geometry.tensor(matrix, self.anchors).to(self.anchors.dtype).unbind()
        pairs = [(p.grad, value) for p, value in zip(self.parameters, values, strict=True) if p.grad is not None]
        if pairs:
            torch._foreach_copy_([gradient for gradient, _ in pairs], [value for _, value in pairs])

    def take(self) -> None:
        """Begin anew from the parameters as they are."""
        torch.stack(self.parameters, out=self.anchors)

    def restore(self, anchors: Sequence[Tensor]) -> None:
        torch._foreach_copy_(list(self.anchors.unbind()), list(anchors))


class AlikeHold:
    """What a `SubspaceHold` does for one weight, for several that are of one `kind`; it takes over from their holds."""

    def __init__(self, holds: Sequence[SubspaceHold]) -> None:
        first = holds[0]
        assert kind(first) is not None
        assert all(kind(hold) == kind(first) for hold in holds)
        (view,) = first.views
        factors = [hold.views[0].projection.right for hold in holds]
        columns = [factor.columns for factor in factors if factor is not None]
        width = -(-max(c.shape[2] for c in columns) // WIDTHS) * WIDTHS
        packed = torch.cat([F.pad(c, (0, width - c.shape[2])) for c in columns])
        right = view.projection.right
        assert right is not None
        self._complement, self._hard = right.complement, right.hard
        self._every, self._gradients, self._waiting = first.every, first.gradients, 0
        size = view.geometry.inputs
        weights = Stack([hold.weight for hold in holds], [hold.anchor for hold in holds], view.geometry)
        self._parts = [(weights, packed[:, :size].contiguous())]
        biases = [(h.bias, h.bias_anchor) for h in holds if h.bias is not None and h.bias_anchor is not None]
        if biases:
            # A bias is the weight of one more input, so its matrices are of one column.
            column = Geometry(view.geometry.groups, view.geometry.outputs, 1)
            stack = Stack([b for b, _ in biases], [anchor for _, anchor in biases], column)
            self._parts.append((stack, packed[:, size:].contiguous()))

    @torch.no_grad()
    def before(self, optimizer: torch.optim.Optimizer) -> None:
        if not self._gradients or not any(p.grad is not None for stack, _ in self._parts for p in stack.parameters):
            return
        values = [stack.gradients() for stack, _ in self._parts]
        inside = self._inside(values)
        for (stack, columns), value in zip(self._parts, values, strict=True):
            across = columns.transpose(1, 2)
            stack.put_gradients(inside @ across if self._complement else value.baddbmm_(inside, across, alpha=-1))

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        self._waiting += 1
        if self._waiting >= self._every:
            self.sync()

    @torch.no_grad()
    def sync(self) -> None:
        if not self._waiting:
            return
        self._waiting = 0
        values = [stack.now() for stack, _ in self._parts]
        inside = self._inside([value - stack.origin() for (stack, _), value in zip(self._parts, values, strict=True)])
        for (stack, columns), value in zip(self._parts, values, strict=True):
            across = columns.transpose(1, 2)
            if self._complement:
                stack.put(torch.baddbmm(full(stack.origin()), inside, across))
            else:
                stack.put(value.baddbmm_(inside, across, alpha=-1))
        if not self._hard:
            # Weakening twice is not weakening once: what was permitted is not judged again.
            self._take()

    def _inside(self, matrices: Sequence[Tensor]) -> Tensor:
        """(L G, O, K): steps, or gradients, of weights and of their biases, in the kept directions."""
        inside: Tensor | None = None
        for (_, columns), matrix in zip(self._parts, matrices, strict=True):
            inside = torch.bmm(matrix, columns) if inside is None else inside.baddbmm_(matrix, columns)
        assert inside is not None
        return inside

    def _take(self) -> None:
        for stack, _ in self._parts:
            stack.take()

    @torch.no_grad()
    def rebase(self) -> None:
        self._take()
        self._waiting = 0

    def rewound(self) -> None:
        self._waiting = 0

    def tensors(self) -> list[Tensor]:
        live = [p.detach() for stack, _ in self._parts for p in stack.parameters]
        return [*live, *(stack.anchors for stack, _ in self._parts)]

    def states(self) -> list[dict[str, Any]]:
        """What a `SubspaceHold` of each weight would have for its state."""
        anchors = [list(stack.anchors.unbind()) for stack, _ in self._parts]
        biases: list[Tensor | None] = [*anchors[1]] if len(anchors) > 1 else [None] * len(anchors[0])
        pairs = zip(anchors[0], biases, strict=True)
        return [{"anchor": anchor, "bias_anchor": bias, "waiting": self._waiting} for anchor, bias in pairs]

    @torch.no_grad()
    def restore(self, states: Sequence[dict[str, Any]]) -> None:
        for (stack, _), name in zip(self._parts, ("anchor", "bias_anchor"), strict=False):
            stack.restore([state[name] for state in states])
        self._waiting = max(state["waiting"] for state in states)

    def state_dict(self) -> dict[str, Any]:
        return {"holds": self.states()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.restore(state["holds"])

    def describe(self) -> str:
        gradients = "gradients and " if self._gradients else ""
        return f"{gradients}project every {self._every}, {len(self._parts[0][0].parameters)} weights together"

    def release(self) -> None:
        self.sync()


def kind(hold: SubspaceHold) -> tuple[object, ...] | None:
    """What holds must have in common to be together; None for one that must be alone."""
    weight, bias, view = hold.weight, hold.bias, hold.views[0]
    right = view.projection.right
    # What is not a projection or a weakening of inputs alone is rare: it is not worth a batched form.
    alone = view.projection.left is None and view.projection.rows is None and len(hold.views) == 1
    if right is None or not right.columns.shape[2] or not alone or (bias is not None) != view.joint:
        return None
    types = (weight.dtype, None if bias is None else bias.dtype)
    same = (weight.shape, weight.device, types, view.geometry)
    return (*same, right.complement, right.hard, hold.every, hold.gradients)
