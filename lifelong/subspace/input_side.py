"""Projects what a layer's weight gradient is made of, instead of the gradient: exact for SGD, with or without momentum.

The gradient of y = x W^T is delta^T x; with x - (x F) F^T in its place it has no protected part to begin with. This
costs 4 B D K flops for B rows instead of 4 O D K, and the layer's outputs and the gradient of its inputs are untouched.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.factor import Factor
from lifelong.subspace.holds import SubspaceHold
from lifelong.updates.copies import OnCopy


class InputSideHold:
    """A `SubspaceHold` whose layer makes permitted gradients, so that it seldom has anything to take out.

    divides: the optimizer must see no others. Under autocast the layer is left alone, so they are sifted afterwards.
    """

    def __init__(self, layer: nn.Linear, hold: SubspaceHold, factor: Factor, divides: bool = False) -> None:
        self._layer, self._hold, self._divides, self._unsifted = layer, hold, divides, False
        columns, complement = factor.columns[0], factor.complement
        kept, constant = columns[: layer.in_features], columns[layer.in_features :]
        # A bias that is protected with its weight is one more input, which is always one.
        joint = constant if len(constant) else None

        def forward(inputs: Tensor) -> Tensor:
            if torch.is_autocast_enabled(inputs.device.type) or not torch.is_grad_enabled():
                self._unsifted |= torch.is_grad_enabled()
                return F.linear(inputs, layer.weight, layer.bias)
            return _Linear.apply(inputs, layer.weight, layer.bias, kept, joint, complement)  # type: ignore[no-any-return,no-untyped-call]

        self._copies = OnCopy(layer, hold.sync, apart=("forward",))
        layer.__dict__["forward"] = forward

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        if self._divides and self._unsifted:
            self._hold.sift()
        self._unsifted = False

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        self._hold.after(optimizer)

    def sync(self) -> None:
        self._hold.sync()

    def rebase(self) -> None:
        self._hold.rebase()

    def rewound(self) -> None:
        self._hold.rewound()

    def tensors(self) -> list[Tensor]:
        return self._hold.tensors()

    def state_dict(self) -> dict[str, Any]:
        return self._hold.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._hold.load_state_dict(state)

    def describe(self) -> str:
        return f"input-side, {self._hold.describe()}"

    def release(self) -> None:
        self._hold.release()
        self._copies.remove()
        del self._layer.__dict__["forward"]


class _Linear(torch.autograd.Function):
    """y = x W^T + b, whose weight gradient is made of permitted inputs."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, kept: Tensor, constant: Tensor | None, dual: bool
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight, kept, constant)
        ctx.has_bias, ctx.dual = bias is not None, dual
        return F.linear(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, kept, constant = ctx.saved_tensors
        delta = gradients[0].reshape(-1, weight.shape[0])
        rows = inputs.reshape(-1, weight.shape[1])
        inside = rows @ kept
        if constant is not None:
            inside += constant
        allowed = inside @ kept.T
        d_weight = delta.T @ (allowed if ctx.dual else rows - allowed)
        d_bias = None
        if ctx.has_bias:
            ones = torch.ones_like(delta[:, 0])
            if constant is not None:
                shadow = inside @ constant[0]
                ones = shadow if ctx.dual else ones - shadow
            d_bias = delta.T @ ones
        d_inputs = (gradients[0] @ weight) if ctx.needs_input_grad[0] else None
        return d_inputs, d_weight, d_bias, None, None, None
