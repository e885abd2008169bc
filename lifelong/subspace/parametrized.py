"""Weights that are made anew from other parameters at each use, such as by weight norm: found, read, and set.

What old outputs need is that the made weight W = f(theta) moves in permitted directions alone. That can be held to
where W can be set: where f has a right inverse, f(inverse(W)) = W for every W. Weight norm has one. Spectral norm and
orthogonal weights have none: what is permitted of a movement is no longer of norm one, or orthogonal. A low-rank sum
W0 + B A has none either, with B and A free to move beside W0 (written as two products, it is two weights). What has
none is frozen, and whatever f keeps beside its parameters stands still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lifelong.subspace.watch import Watch, joined
from lifelong.updates.quiet import quietly

OWN_NAMES = {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}
"""Functions of torch by the private classes that they leave behind."""


@dataclass(frozen=True)
class Made:
    """A weight that a module makes from parameters.

    name: where the module has it; how: what makes it, in a word; originals: the tensors that the inverse gives; parts:
    all parameters that it is made of, by name. owner, method: the function that makes it; make: a call of it; read:
    the weight as the module reads it, which may be a copy from a cache.
    """

    name: str
    how: str
    originals: tuple[Tensor, ...]
    parts: Mapping[str, nn.Parameter]
    owner: Any
    method: str
    make: Callable[[], Tensor]
    read: Callable[[], Tensor]
    inverse: Callable[[Tensor], Sequence[Tensor]] | None

    @torch.no_grad()
    def value(self) -> Tensor:
        """The weight as it is made in evaluation mode, now."""
        modes = [(module, module.training) for module in self._modules()]
        for module, _ in modes:
            module.training = False
        try:
            with quietly():
                return self.make()
        finally:
            for module, training in modes:
                module.training = training

    @torch.no_grad()
    def put(self, value: Tensor) -> Tensor:
        """Set the weight; returns how far from it it came out, relatively. Raises whatever the inverse raises."""
        assert self.inverse is not None
        with quietly():
            for original, new in zip(self.originals, self.inverse(value.clone()), strict=True):
                original.copy_(new)
        error: Tensor = (self.value() - value).norm() / value.norm().clamp_min(torch.finfo(value.dtype).tiny)
        return error

    def unfit(self) -> str | None:
        """Why the weight cannot be set to just anything; None where it can. Tries it, and puts everything back."""
        if self.inverse is None:
            return f"made by {self.how}, which has no right_inverse, so that it cannot be set"
        if not all(isinstance(original, nn.Parameter) and original.requires_grad for original in self.originals):
            return f"made by {self.how} from tensors that are not all trained, so that it cannot be set"
        if len(self.parts) > len(self.originals):
            # These would move for ever against what is set in answer to them.
            return f"made by {self.how} with parameters that its right_inverse does not set"
        buffers = [(module, dict(module._buffers)) for module in self._modules()]
        tensors = [*self.originals, *(b for _, own in buffers for b in own.values() if b is not None)]
        kept = [(t, t.detach().clone()) for t in tensors]
        try:
            value = self.value()
            noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(0)).to(value)
            fits = is_close(self.put(value + noise * value.square().mean().sqrt()))
        except (ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError):
            fits = False
        finally:
            for module, own in buffers:
                module._buffers.update(own)
            with torch.no_grad():
                for tensor, before in kept:
                    tensor.copy_(before)
        return None if fits else f"made by {self.how}, which cannot make every weight, so that it cannot be set"

    def _modules(self) -> list[nn.Module]:
        return list(self.owner.modules()) if isinstance(self.owner, nn.Module) else []


def is_close(error: Tensor) -> bool:
    """Whether a relative error is rounding of its type; that of NaN is not. Waits for the device."""
    return float(error) <= max(1e-5, 32 * torch.finfo(error.dtype).eps)


def made_weights(modules: Iterable[tuple[str, nn.Module]], named: Mapping[str, nn.Parameter]) -> list[Made]:
    """All weights of these modules that are made from named parameters, by `parametrize` or by hooks of old."""
    names = {id(p): name for name, p in named.items()}
    found = []
    for path, module in modules:
        if parametrize.is_parametrized(module):
            lists = module.parametrizations
            assert isinstance(lists, nn.ModuleDict)
            found += [_parametrized(path, module, tensor, made_by, names) for tensor, made_by in lists.items()]
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm):
                found.append(_weight_norm(path, module, hook, names))
    return [made for made in found if made.parts]


def _parametrized(path: str, module: nn.Module, tensor: str, made_by: nn.Module, names: Mapping[int, str]) -> Made:
    assert isinstance(made_by, parametrize.ParametrizationList)
    steps = list(made_by)

    def inverse(value: Tensor) -> Sequence[Tensor]:
        new: Any = value
        for step in reversed(steps):
            new = step.right_inverse(new)  # type: ignore[operator]
        return [new] if torch.is_tensor(new) else list(new)

    fields = ["original"] if made_by.is_tensor else [f"original{i}" for i in range(made_by.ntensors)]
    return Made(
        joined(path, tensor),
        " and ".join(OWN_NAMES.get(type(step).__name__, type(step).__name__) for step in steps),
        tuple(getattr(made_by, field) for field in fields),
        {names[id(p)]: p for p in made_by.parameters() if id(p) in names},
        made_by,
        "forward",
        lambda: made_by.forward(),
        lambda: getattr(module, tensor),
        inverse if all(hasattr(step, "right_inverse") for step in steps) else None,
    )


def _weight_norm(path: str, module: nn.Module, hook: WeightNorm, names: Mapping[int, str]) -> Made:
    originals = tuple(module._parameters[f"{hook.name}_{letter}"] for letter in "gv")
    return Made(
        joined(path, hook.name),
        "weight_norm",
        tuple(p for p in originals if p is not None),
        {names[id(p)]: p for p in originals if p is not None and id(p) in names},
        hook,
        "compute_weight",
        lambda: hook.compute_weight(module),
        lambda: getattr(module, hook.name),
        lambda value: (torch.norm_except_dim(value, 2, hook.dim), value),
    )


def unsteady(modules: Iterable[tuple[str, nn.Module]]) -> dict[str, nn.Module]:
    """Modules that change a weight in training without a step, by what they keep beside parameters; by name."""
    found: dict[str, nn.Module] = {}
    for path, module in modules:
        if isinstance(module, parametrize.ParametrizationList):
            parts = module.named_modules(prefix=path)
            found |= {name: part for name, part in parts if next(part.buffers(recurse=False), None) is not None}
        # This hook of old asks the layer itself whether it is in training.
        if any(isinstance(hook, SpectralNorm) for hook in module._forward_pre_hooks.values()):
            found[path] = module
    return found


@contextmanager
def shown(weights: Iterable[Made], watch: Watch) -> Iterator[None]:
    """Inside, the watch takes what is made for a parameter of that name, and does not look at how it is made."""

    def showing(name: str, plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def make(*args: Any) -> Tensor:
            with quietly():
                weight = plain(*args)
                watch.stand(name, weight)
            return weight

        return make

    before = []
    try:
        for made in weights:
            before.append((made, made.owner.__dict__.get(made.method)))
            made.owner.__dict__[made.method] = showing(made.name, getattr(made.owner, made.method))
            if parametrize._cache_enabled:
                watch.stand(made.name, made.read())
        yield
    finally:
        for made, old in reversed(before):
            if old is None:
                del made.owner.__dict__[made.method]
            else:
                made.owner.__dict__[made.method] = old
