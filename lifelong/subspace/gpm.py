"""Gradient projection memory: protect the input directions that what was learned so far depends on.

Source: Saha, Garg and Roy 2021, "Gradient Projection Memory for Continual Learning", eq. 5-9. Two departures: the
optimizer's step is projected instead of its gradient, so that any optimizer is safe, and a bias is protected with
its weight, as a weight on an input that is always one. For x in the protected span, (W + dW) x = W x exactly.

Shapes: a layer maps D = inputs (+ 1 with a bias) to O outputs; a step of its weight is (O, D).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from lifelong.subspace.basis import Basis
from lifelong.updates.attach import Guard, freeze

Parts = Iterable[tuple[str, nn.Module]]


@dataclass(frozen=True, slots=True)
class Growth:
    """One layer's protection after a task: `rank` of `size` directions hold `energy` of the squared inputs."""

    layer: str
    rank: int
    size: int
    energy: float


class GradientProjectionMemory:
    """What one network must not unlearn: a basis for each Linear and Conv2d; what else a part has is frozen.

    first_energy, energy: the share of squared activations to protect, in layers that see raw inputs (`encoders.*`) and
    in all others; samples: rows kept per layer and consolidation. Raises ValueError for layers it cannot protect.
    """

    def __init__(self, first_energy: float = 0.95, energy: float = 0.99, samples: int = 1000) -> None:
        for name, value in (("first_energy", first_energy), ("energy", energy)):
            if not 0.0 < value <= 1.0:
                raise ValueError(f"{name} must be in (0, 1], got {value}.")
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}.")
        self._first_energy, self._energy, self._samples = first_energy, energy, samples
        self._bases: dict[str, Basis] = {}
        self._held: dict[str, float] = {}
        self._lived: set[str] = set()

    def refuses(self, parts: Parts) -> str | None:
        """Why these parts cannot be protected; None where they can."""
        try:
            for _ in _layers(parts):
                pass
        except ValueError as error:
            return str(error)
        return None

    def consolidate(self, parts: Parts, forward: Callable[[], object]) -> list[Growth]:
        """Run `forward` once over what must be kept, watch every layer's input and protect what it used."""
        parts = list(parts)
        with _collecting(parts, self._samples) as (rows, ran):
            forward()
        self._lived |= ran
        for name, samples in rows.items():
            basis = self._bases.setdefault(name, Basis(samples.shape[1]))
            energy = self._first_energy if name.startswith("encoders.") else self._energy
            self._held[name] = basis.grow(samples, energy)
        return [growth for growth in self.protected() if growth.layer in rows]

    def protected(self) -> list[Growth]:
        """What every layer protects now; the energy is that of the latest task that used the layer."""
        return [Growth(name, basis.rank, basis.size, self._held[name]) for name, basis in self._bases.items()]

    def guards(self, parts: Parts) -> list[Guard]:
        """The rules that keep what was consolidated; none before the first consolidation."""
        parts = list(parts)
        guards: list[Guard] = []
        covered: set[int] = set()
        for name, layer in _layers(parts):
            # An encoder that came later has no past yet: nothing of it needs keeping.
            if name in self._bases:
                parameters = tuple(p for p in (layer.weight, layer.bias) if isinstance(p, nn.Parameter))
                guards.append(Guard(parameters, _projection(self._bases[name])))
            covered.update(id(p) for p in layer.parameters())
        for name, part in parts:
            rest = [p for p in part.parameters() if id(p) not in covered]
            guards += [Guard((p,), freeze) for p in rest if name in self._lived]
        return guards

    def used(self) -> float:
        """Share (0..1) of all input directions that are protected, in the fullest layer."""
        return max((basis.rank / basis.size for basis in self._bases.values()), default=0.0)

    def state_dict(self) -> dict[str, Any]:
        bases = {name: basis.state_dict() for name, basis in self._bases.items()}
        return {"bases": bases, "held": dict(self._held), "lived": sorted(self._lived)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._held, self._lived = dict(state["held"]), set(state["lived"])
        self._bases = {name: Basis(kept["size"]) for name, kept in state["bases"].items()}
        for name, kept in state["bases"].items():
            self._bases[name].load_state_dict(kept)


def _layers(parts: Parts) -> Iterator[tuple[str, nn.Linear | nn.Conv2d]]:
    for part_name, part in parts:
        for name, module in part.named_modules():
            full = f"{part_name}.{name}" if name else part_name
            if isinstance(module, NonDynamicallyQuantizableLinear):
                # Attention reads this layer's weight without running it, so its inputs go unseen: frozen, as the rest.
                continue
            if isinstance(module, nn.Linear):
                yield full, module
            elif isinstance(module, nn.Conv2d):
                if module.groups != 1 or module.padding_mode != "zeros" or isinstance(module.padding, str):
                    raise ValueError(
                        f"{full}: only convolutions with groups=1, padding_mode='zeros' and numeric padding can be "
                        f"protected, got groups={module.groups}, padding_mode={module.padding_mode!r}, "
                        f"padding={module.padding!r}."
                    )
                yield full, module
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise ValueError(
                    f"{full}: BatchNorm's running statistics move with every batch, so nothing that passes it can be "
                    "protected. Use GroupNorm or LayerNorm, or experts that share nothing (share: never)."
                )


@contextmanager
def _collecting(parts: Parts, samples: int) -> Iterator[tuple[dict[str, Tensor], set[str]]]:
    """Inside, collect the inputs of every layer that runs, as rows, and the names of the parts that run."""
    rows: dict[str, Tensor] = {}
    draws: dict[str, Tensor] = {}
    ran: set[str] = set()
    # Chance, and always the same: rows at even distances would meet the same positions of every image.
    generator = torch.Generator().manual_seed(0)

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen = _rows(module, inputs[0].detach())
            drawn = torch.rand(len(seen), generator=generator)
            rows[name] = torch.cat([rows[name], seen]) if name in rows else seen
            draws[name] = torch.cat([draws[name], drawn]) if name in draws else drawn
            # The lowest draws of all stay: whatever the batch that it came in, each row has the same chance.
            if len(draws[name]) > samples:
                kept = draws[name].topk(samples, largest=False).indices
                rows[name], draws[name] = rows[name][kept.to(seen.device)], draws[name][kept]

        return hook

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda *_: ran.add(name)

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in _layers(parts)]
    hooks += [part.register_forward_pre_hook(note(name)) for name, part in parts]
    try:
        with torch.no_grad():
            yield rows, ran
    finally:
        for hook in hooks:
            hook.remove()


def _rows(layer: nn.Module, inputs: Tensor) -> Tensor:
    """The layer's input as (N, D) rows that its weight multiplies, with a column of ones for a bias."""
    if isinstance(layer, nn.Conv2d):
        # Only patches that will be kept are worth unfolding: a few images, evenly spaced, are enough.
        padding = layer.padding
        assert not isinstance(padding, str)
        patches = F.unfold(inputs[:: -(-len(inputs) // 64)], layer.kernel_size, layer.dilation, padding, layer.stride)
        rows = patches.transpose(1, 2).flatten(0, 1)
    else:
        rows = inputs.flatten(0, -2)
    return F.pad(rows, (0, 1), value=1.0) if layer.bias is not None else rows


def _projection(basis: Basis) -> Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def project(steps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        weight = steps[0]
        if len(steps) == 1:
            return (basis.remove(weight.flatten(1)).view_as(weight),)
        joint = basis.remove(torch.cat([weight.flatten(1), steps[1][:, None]], dim=1))
        return joint[:, :-1].view_as(weight), joint[:, -1]

    return project
