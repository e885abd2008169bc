"""The model that is protected: one module, or parts that come and go, and what of it can be told apart by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.subspace.null_form import NAME as COORDINATES
from lifelong.subspace.parametrized import Made, made_weights, unsteady
from lifelong.subspace.watch import joined

Parts = Callable[[], Iterable[tuple[str, nn.Module]]]
Apart = Callable[[], Iterable[nn.Module]]


def nothing() -> tuple[nn.Module, ...]:
    """Of a model that is one whole, nothing is apart."""
    return ()


class Subject:
    """A module, or a function that gives the parts of a growing model as (name, module).

    apart: gives modules inside it that are not looked at, nor anything in them.
    """

    def __init__(self, model: nn.Module | Parts, apart: Apart = nothing) -> None:
        self._apart = apart
        self.model = model if isinstance(model, nn.Module) else None
        self._parts = None if isinstance(model, nn.Module) else model

    def parts(self) -> list[tuple[str, nn.Module]]:
        if self._parts is not None:
            return list(self._parts())
        assert self.model is not None
        return [("", self.model)]

    def root(self) -> nn.Module | None:
        """The model, where it is one module that can be given hooks."""
        return None if isinstance(self.model, torch.jit.ScriptModule) else self.model

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """All modules of all parts that are not apart, by full name."""
        apart = {id(inner) for outer in self._apart() for inner in outer.modules()}
        for part, root in self.parts():
            for name, module in root.named_modules():
                if id(module) not in apart:
                    yield joined(part, name), module

    def named(self) -> dict[str, nn.Parameter]:
        """Every parameter once, by its first full name."""
        named: dict[str, nn.Parameter] = {}
        seen: set[int] = {id(p) for outer in self._apart() for p in outer.parameters()}
        for part, root in self.parts():
            for name, p in root.named_parameters():
                if id(p) not in seen and not name.endswith(COORDINATES):
                    seen.add(id(p))
                    named[joined(part, name)] = p
        return named

    def linears(self) -> list[tuple[str, str, nn.Linear]]:
        """(name of the layer, name of its weight, layer) of every nn.Linear with a weight of its own kind."""
        named = {id(p): name for name, p in self.named().items()}
        return [
            (name, named[id(module._parameters["weight"])], module)
            for name, module in self.modules()
            if type(module) is nn.Linear and id(module._parameters.get("weight")) in named
        ]

    def made(self) -> dict[str, Made]:
        """Weights that modules make from parameters, by the name of the weight."""
        return {made.name: made for made in made_weights(self.modules(), self.named())}

    def unsteady(self) -> dict[str, nn.Module]:
        """Makers of weights that change in training without a step, by name."""
        return unsteady(self.modules())

    def unseen(self, ran: Counter[str], met: Container[str]) -> Iterator[tuple[str, str]]:
        """What ran without torch showing what it did with its parameters, by name, and why that is suspected."""
        names = {id(p): name for name, p in self.named().items()}
        for path, module in self.modules():
            scripted = isinstance(module, torch.jit.ScriptModule)
            if not scripted and not ran[path]:
                continue
            why = "scripted, so that its use cannot be seen" if scripted else "its module ran, its use was not seen"
            for p in module.parameters(recurse=scripted):
                if id(p) in names and names[id(p)] not in met:
                    yield names[id(p)], why

    def moving(self) -> dict[str, nn.Module]:
        """Norms that keep running statistics, by name."""
        return {
            name: module
            for name, module in self.modules()
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None
        }

    def run(self, batch: Any) -> object:
        """The model's answer to a tensor, a dict of keyword arguments, or a tuple whose first member is the input."""
        if self.model is None:
            raise ValueError("A protection of parts cannot run batches by itself: give `forward`, or use `watching`.")
        device = next(self.model.parameters()).device
        if isinstance(batch, Mapping):
            return self.model(**{k: v.to(device) if torch.is_tensor(v) else v for k, v in batch.items()})
        inputs = batch[0] if isinstance(batch, (tuple, list)) else batch
        return self.model(inputs.to(device) if torch.is_tensor(inputs) else inputs)

    def gradients(self, batches: Iterable[Any], loss: Callable[[Any], Tensor]) -> dict[str, Tensor]:
        """Of the summed losses in evaluation mode, by the name of the parameter; none for what was not used."""
        wanted = {name: p for name, p in self.named().items() if p.requires_grad}
        sums: dict[str, Tensor] = {}
        with self.evaluating(), torch.enable_grad():
            for batch in batches:
                found = torch.autograd.grad(loss(batch), list(wanted.values()), allow_unused=True)
                for name, gradient in zip(wanted, found, strict=True):
                    if gradient is not None:
                        sums[name] = sums[name] + gradient if name in sums else gradient
        return sums

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside, every module is in evaluation mode; afterwards each is in its own again."""
        modes = [(module, module.training) for _, root in self.parts() for module in root.modules()]
        for _, root in self.parts():
            root.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
