"""A network as retention methods see it: trained parameters by name, answers, features, and what it was earlier.

Shapes: B samples, C outputs, F features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.objective import Contract

Extras = Callable[[Contract, "str | None"], tuple[Any, ...]]
"""What the module is given after the inputs, to answer for a contract and a task."""

Features = Callable[[nn.Module, Tensor], Tensor]
"""A module and (B, ...) inputs -> (B, F), what its last layer is given."""


class Model:
    """A module that answers (B, ...) inputs with (B, C) outputs.

    named: gives the trained parameters by their names in the module; None: all that require gradients. extras: what the
    module is given beside the inputs. features: see `Features`; None: what its last linear layer is given.
    """

    def __init__(
        self,
        module: nn.Module,
        named: Callable[[], dict[str, nn.Parameter]] | None = None,
        extras: Extras | None = None,
        features: Features | None = None,
    ) -> None:
        self.module = module
        self._named, self._features = named, features
        self.extras: Extras = extras if extras is not None else _inputs_alone

    def named(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, as they are now."""
        if self._named is not None:
            return self._named()
        return {name: p for name, p in self.module.named_parameters() if p.requires_grad}

    def outputs(self, inputs: Tensor, contract: Contract, task: str | None = None) -> Tensor:
        found: Tensor = self.module(inputs, *self.extras(contract, task))
        return found

    def features(self, inputs: Tensor, contract: Contract, task: str | None = None) -> Tensor:
        """(B, ...) inputs -> (B, F), with a graph. Raises ValueError for a module without a linear layer."""
        if self._features is not None:
            return self._features(self.module, inputs)
        linears = [layer for layer in self.module.modules() if isinstance(layer, nn.Linear)]
        if not linears:
            raise ValueError(
                "This module has no linear layer whose inputs could be taken for its features: give the features as a "
                "function of module and inputs."
            )
        seen: list[Tensor] = []
        hooks = [layer.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for layer in linears]
        try:
            # The last one that runs: another may be the head of another task.
            self.outputs(inputs, contract, task)
        finally:
            for hook in hooks:
                hook.remove()
        if not seen:
            raise ValueError(
                "No linear layer of this module ran as a module of its own, so that its features are not known: give "
                "them as a function, Model(module, features=...)."
            )
        return seen[-1].flatten(1)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside, the module is in evaluation mode."""
        was = {module: module.training for module in self.module.modules()}
        self.module.eval()
        try:
            yield
        finally:
            for module, training in was.items():
                module.training = training

    def twin(self) -> Model:
        """What the network is now, to be asked later: a copy that stands still, in evaluation mode."""
        try:
            twin = copy.deepcopy(self.module).eval().requires_grad_(False)
        except RuntimeError as error:
            raise ValueError(
                f"This module cannot be copied, and the method keeps a copy of what it was: {error} A layer under "
                "torch.nn.utils.weight_norm can be put under torch.nn.utils.parametrizations.weight_norm instead."
            ) from error
        for p in twin.parameters():
            p.grad = None
        return Model(twin, dict, self.extras, self._features)

    def twin_of(self, weights: dict[str, Tensor]) -> Model:
        """The twin whose module's state was `weights`, without the tensors that the network got since."""
        twin = self.twin()
        twin.module.load_state_dict(weights, strict=False)
        for path in twin.module.state_dict().keys() - weights.keys():
            owner, _, name = path.rpartition(".")
            part = twin.module.get_submodule(owner)
            for kept in (part._parameters, part._buffers):
                kept.pop(name, None)
        return twin

    def bytes(self) -> int:
        return bytes_of(self.module.state_dict().values())


def _inputs_alone(contract: Contract, task: str | None) -> tuple[Any, ...]:
    """What most modules are given beside the inputs: nothing. Raises ValueError where tasks have heads of their own."""
    if contract.own_head:
        raise ValueError(
            "Tasks with a head of their own: say what the module is given beside the inputs, so that old samples come "
            "to their own heads, as in Model(module, extras=lambda contract, task: (task,))."
        )
    return ()


@torch.no_grad()
def detached(named: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Copies of the parameters' values."""
    return {name: p.detach().clone() for name, p in named.items()}


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
