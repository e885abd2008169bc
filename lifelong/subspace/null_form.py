"""Trains a layer in the coordinates of what is free: W = W0 + A V^T, where only A (O, K) has a gradient.

The weight's own gradient is never made: of the three products of a linear layer, one shrinks from D to K columns, and
so does the optimizer's step. Above some protected share that makes a protected layer cheaper than a free one. Any
optimizer and any decay is exactly safe, at every step; decay pulls towards W0, and moments see what is free alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.subspace.watch import Watch
from lifelong.updates.copies import OnCopy, refuse_pickling

NAME = "free_coordinates"


class NullSpaceHold:
    """Adds the parameter A to a layer, and to the optimizer's group of its weight, for as long as it holds.

    free: (D, K) orthonormal free directions, or (D + 1, K) with a bias as the weight on a constant input. The weight
    itself is brought up to date by `sync`; the layer answers from weight and coordinates at any time.
    """

    def __init__(self, layer: nn.Linear, free: Tensor, optimizer: torch.optim.Optimizer) -> None:
        self._layer, self._optimizer = layer, optimizer
        size = layer.in_features
        free = free.to(layer.weight)
        width = layer.out_features
        # Weight and free directions in one matrix: what they make of the inputs is one product, and one more backward.
        self._stacked = torch.cat([layer.weight.detach(), free[:size].T])
        self._anchor, self._free = self._stacked[:width], self._stacked[width:]
        self._constant = free[size].clone() if len(free) > size else None
        coordinates = nn.Parameter(layer.weight.new_zeros(width, free.shape[1]))
        layer.register_parameter(NAME, coordinates)
        self._coordinates = coordinates
        joint = None if self._constant is None else torch.cat([layer.bias.detach(), self._constant])
        self._bias_anchor = None if joint is None else joint[:width]
        self._group = next(g for g in optimizer.param_groups if any(p is layer.weight for p in g["params"]))
        self._group["params"].append(coordinates)
        layer.weight.grad = None
        if joint is not None:
            layer.bias.grad = None
        stacked, widths = self._stacked, [width, free.shape[1]]

        def forward(inputs: Tensor) -> Tensor:
            if Watch.open:
                # The weight's place is taken by anchor and coordinates: who watches shall see it all the same.
                F.linear(inputs.detach(), layer.weight.detach(), None if layer.bias is None else layer.bias.detach())
            plain, seen = torch.split(F.linear(inputs, stacked, joint), widths, dim=-1)
            if inputs.ndim == 2:
                return torch.addmm(plain, seen, coordinates.T)
            return plain + F.linear(seen, coordinates)

        self._copies = OnCopy(layer, self.sync, apart=("forward",), clean=_without_coordinates)
        layer.__dict__["forward"] = forward
        self._hooks = [
            layer.register_state_dict_post_hook(_drop),  # type: ignore[no-untyped-call]
            layer.register_load_state_dict_pre_hook(_Supply(self)),  # type: ignore[no-untyped-call]
        ]

    @torch.no_grad()
    def supply(self, layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        """A saved model knows nothing of coordinates: its weight is where they begin."""
        state[prefix + NAME] = torch.zeros_like(self._coordinates)
        if prefix + "weight" in state:
            self._anchor.copy_(state[prefix + "weight"])
        if self._bias_anchor is not None and prefix + "bias" in state:
            self._bias_anchor.copy_(state[prefix + "bias"])

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        if self._layer.weight.grad is not None:
            raise RuntimeError(
                "A weight that is trained in null-space coordinates has got a gradient of its own: something goes "
                "round its layer's forward pass (a model compiled before attach, or code that reads the weight). "
                "Compile after attach, or attach with form='project'."
            )

    def after(self, optimizer: torch.optim.Optimizer) -> None:
        pass

    @torch.no_grad()
    def sync(self) -> None:
        torch.addmm(self._anchor, self._coordinates.detach(), self._free, out=self._layer.weight.data)
        if self._bias_anchor is not None and self._constant is not None:
            torch.addmv(self._bias_anchor, self._coordinates.detach(), self._constant, out=self._layer.bias.data)

    @torch.no_grad()
    def rebase(self) -> None:
        self._coordinates.zero_()
        self._anchor.copy_(self._layer.weight)
        if self._bias_anchor is not None:
            self._bias_anchor.copy_(self._layer.bias)

    def rewound(self) -> None:
        pass

    def tensors(self) -> list[Tensor]:
        biases = [] if self._bias_anchor is None else [self._layer.bias.detach(), self._bias_anchor]
        return [self._layer.weight.detach(), self._anchor, *biases, self._coordinates.detach()]

    def state_dict(self) -> dict[str, Any]:
        return {
            "coordinates": self._coordinates.detach(),
            "anchor": self._anchor,
            "bias_anchor": self._bias_anchor,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._coordinates.copy_(state["coordinates"])
        self._anchor.copy_(state["anchor"])
        if self._bias_anchor is not None:
            self._bias_anchor.copy_(state["bias_anchor"])

    def describe(self) -> str:
        return "null space"

    def release(self) -> None:
        self.sync()
        for hook in (*self._hooks, self._copies):
            hook.remove()
        del self._layer.__dict__["forward"]
        del self._layer._parameters[NAME]
        kept = [p for p in self._group["params"] if p is not self._coordinates]
        self._group["params"][:] = kept
        self._optimizer.state.pop(self._coordinates, None)


class _Supply:
    """A hook of loading, which no copy of the layer has."""

    def __init__(self, hold: NullSpaceHold) -> None:
        self._hold = hold

    def __call__(self, *arguments: Any) -> None:
        self._hold.supply(*arguments)

    def __deepcopy__(self, memo: object) -> Callable[..., None]:
        return _supply_nothing

    def __reduce__(self) -> NoReturn:
        refuse_pickling()


def _supply_nothing(*arguments: Any) -> None:
    pass


def _without_coordinates(layer: nn.Module) -> None:
    del layer._parameters[NAME]


def _drop(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    state.pop(prefix + NAME, None)
