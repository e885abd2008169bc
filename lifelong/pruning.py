"""Magnitude pruning of any module under any torch optimizer: masks that stay, and an exact account of what is left.

What is pruned is zero and stays zero: the masks lie beside the parameters, so names, shapes and state_dicts of module
and optimizer are what they were. Sources: one-shot pruning and retraining, Han et al. 2015; while training, Zhu & Gupta
2017, equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

Scope = Literal["global", "layer"]
"""Where magnitudes are compared: over all layers together, or within each."""


@dataclass(frozen=True, slots=True)
class Gradual:
    """When to prune while training goes on: from nothing at update `begin` to `share` at update `end`, fast, then slow.

    share: of all the module's parameters, that are zero in the end. every: updates between two prunings.
    Source: Zhu & Gupta 2017, equation 1, with an initial sparsity of 0.
    """

    share: float
    begin: int = 400
    end: int = 3000
    every: int = 50

    def __post_init__(self) -> None:
        _check_share(self.share)
        if not 0 <= self.begin < self.end or self.every < 1:
            raise ValueError(
                f"Gradual pruning needs 0 <= begin < end and every >= 1 (in updates), got begin={self.begin}, "
                f"end={self.end}, every={self.every}."
            )

    def share_at(self, update: int) -> float:
        """The share to be pruned after so many updates; it moves only every `every` updates, and at `end`."""
        if update >= self.end:
            return self.share
        done = max(0, update - self.begin) // self.every * self.every / (self.end - self.begin)
        return self.share * (1.0 - (1.0 - done) ** 3)


class Pruner:
    """Keeps the smallest numbers of a module at zero, however it is trained.

    Weights (parameters of two or more dimensions) are pruned by magnitude; biases and scales of norms only where
    `biases` is "prune". Shares are of all the module's parameters, those that are kept for certain included, so that
    what is left can be counted before. `prune` to a share, `attach` to the optimizer, train. Masks only ever grow.
    Parameters that the module gains later are not pruned.
    """

    def __init__(self, module: nn.Module, scope: Scope = "global", biases: Literal["keep", "prune"] = "keep") -> None:
        if scope not in get_args(Scope):
            raise ValueError(f"scope must be one of {', '.join(get_args(Scope))}, got {scope!r}.")
        if biases not in ("keep", "prune"):
            raise ValueError(f"biases must be keep or prune, got {biases!r}.")
        named = dict(module.named_parameters())
        self._scope: Scope = scope
        self._total = sum(p.numel() for p in named.values())
        self._weights = {name: p for name, p in named.items() if p.dim() > 1 or biases == "prune"}
        if not self._weights:
            raise ValueError(f"{type(module).__name__} has no weights of two or more dimensions: nothing to prune.")
        self._kept = {name: torch.ones_like(p, dtype=torch.bool) for name, p in self._weights.items()}
        # With the layers compared each by itself, what belongs to no pruned one weighs on all alike.
        self._spared = self._total - sum(p.numel() for p in self._weights.values())
        self.updates, self.cut = 0, 0

    def prune(self, share: float) -> int:
        """Zero the smallest numbers until `share` of the module's parameters is pruned; how many that are, in all.

        Raises ValueError where so many could be reached only by pruning what `biases` keeps.
        """
        _check_share(share)
        wanted = round(share * self._total)
        room = self._total - self._spared
        if wanted > room:
            raise ValueError(
                f"A share of {share} is {wanted} of {self._total} parameters, but {self._spared} of them are biases "
                f'or norms, which are kept: prune at most {room / self._total:.4f}, or set biases="prune".'
            )
        names = list(self._weights)
        groups = [names] if self._scope == "global" else [[name] for name in names]
        for group, count in zip(groups, _split(wanted, [self._numel(g) for g in groups]), strict=True):
            kept = smallest_out([self._weights[n] for n in group], [self._kept[n] for n in group], count)
            for name, mask in zip(group, kept, strict=True):
                self._kept[name].copy_(mask)
        self.apply()
        return self.pruned

    def _numel(self, names: Sequence[str]) -> int:
        return sum(self._weights[name].numel() for name in names)

    @property
    def pruned(self) -> int:
        """Parameters that are held at zero."""
        return int(sum(int((~mask).sum()) for mask in self._kept.values()))

    @torch.no_grad()
    def apply(self) -> None:
        """Put everything that is pruned back to zero."""
        for name, weight in self._weights.items():
            weight.mul_(self._kept[name])

    @torch.no_grad()
    def follow(self) -> None:
        """Take the weights as they are for what is left: what is zero is pruned, and nothing else."""
        for name, weight in self._weights.items():
            self._kept[name].copy_(weight != 0)

    def attach(self, optimizer: torch.optim.Optimizer, schedule: Gradual | None = None) -> PruningHandle:
        """Hold the masks after every step of this optimizer, and let them grow by the schedule, until detached."""

        def after(*_: object) -> None:
            self.updates += 1
            if schedule is not None and self._due(schedule):
                self.prune(schedule.share_at(self.updates))
                self.cut = self.updates
            else:
                self.apply()

        # torch names no type for the handles of its hooks that a reader could import.
        return PruningHandle(optimizer.register_step_post_hook(after))

    def _due(self, schedule: Gradual) -> bool:
        return schedule.share_at(self.updates) > schedule.share_at(self.updates - 1)

    def masks(self) -> dict[str, Tensor]:
        """The masks by parameter name, live: True where a number is free to live. For who puts states back."""
        return self._kept

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "kept": {name: mask.clone() for name, mask in self._kept.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, for a module of the same shapes. Raises ValueError for another one."""
        mine = {name: tuple(mask.shape) for name, mask in self._kept.items()}
        given = {name: tuple(mask.shape) for name, mask in state["kept"].items()}
        if mine != given:
            raise ValueError(f"The masks are of {given}, this pruner's module has {mine}: they do not fit.")
        self.updates = state["updates"]
        for name, mask in state["kept"].items():
            self._kept[name].copy_(mask)


class PruningHandle:
    """What `Pruner.attach` gives: `detach()` lets the optimizer go."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    def detach(self) -> None:
        self._hook.remove()


@torch.no_grad()
def smallest_out(weights: Sequence[Tensor], kept: Sequence[Tensor], count: int) -> list[Tensor]:
    """Masks (bool, of the weights' shapes) without the `count` smallest magnitudes of all weights together.

    What `kept` has left out already stays out and counts; where that is more than `count`, nothing is added. Of equal
    magnitudes the earlier goes first, so the number is exact.
    """
    sizes = [w.numel() for w in weights]
    # Below any magnitude: what is out goes out first.
    flat = torch.cat([w.abs().masked_fill(~k, -1.0).flatten() for w, k in zip(weights, kept, strict=True)])
    mask = torch.cat([k.flatten() for k in kept])
    out = torch.argsort(flat, stable=True)[: max(count, int((~mask).sum()))]
    mask[out] = False
    return [m.view(w.shape) for m, w in zip(torch.split(mask, sizes), weights, strict=True)]


@dataclass(frozen=True, slots=True)
class Footprint:
    """How large a module is: numbers in all, those that are not zero, and bytes where it is stored in the least space.

    Each parameter is stored in the cheapest of three ways: all its values; the nonzero values and one bit per place;
    or the nonzero values and their places in the flattened parameter (2 bytes each up to 65,536 places, else 4).
    Buffers that are floating (a norm's statistics) count like parameters: no answer comes without them.
    """

    parameters: int
    nonzero: int
    bytes: int

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(self.parameters + other.parameters, self.nonzero + other.nonzero, self.bytes + other.bytes)


def footprint(module: nn.Module) -> Footprint:
    """Count a module, exactly. Parameters that are shared within it count once."""
    tensors = [*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())]
    return sum((_footprint(t) for t in tensors), Footprint(0, 0, 0))


def _footprint(tensor: Tensor) -> Footprint:
    places, nonzero = tensor.numel(), int(torch.count_nonzero(tensor))
    value, index = tensor.element_size(), 2 if places <= 2**16 else 4
    return Footprint(
        places, nonzero, min(places * value, nonzero * value + (places + 7) // 8, nonzero * (value + index))
    )


def _split(count: int, sizes: Sequence[int]) -> list[int]:
    """`count` over groups in proportion to their sizes, in whole numbers that add up to it."""
    total, ends, seen = sum(sizes), [0], 0
    for size in sizes:
        seen += size
        ends.append(round(count * seen / total))
    return [after - before for before, after in pairwise(ends)]


def _check_share(share: float) -> None:
    if not 0.0 <= share < 1.0:
        raise ValueError(f"share must be in [0, 1), the part of the parameters that is pruned, got {share}.")
