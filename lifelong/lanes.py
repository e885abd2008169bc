"""What each lane has for itself inside a body that lanes share: a module for each, of which one is in use at a time.

Norms with running statistics are such: the statistics of one world are wrong in another.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Lanes(nn.Module):
    """One module for each lane that has one. `now` is that of the lane in use; None where this lane has none."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self._now = ""

    def __contains__(self, lane: str) -> bool:
        return lane in self.names

    @property
    def now(self) -> nn.Module | None:
        return self._modules.get(self._now)

    def of(self, lane: str) -> nn.Module | None:
        """What a lane has here."""
        return self._modules[str(self.names.index(lane))] if lane in self.names else None

    def add(self, lane: str, module: nn.Module) -> None:
        self.names.append(lane)
        self.add_module(str(len(self.names) - 1), module.train(self.training))

    def enter(self, lane: str | None) -> None:
        """From now on, this lane's module is in use; with None, nobody's."""
        self._now = str(self.names.index(lane)) if lane in self.names else ""


class LaneNorm(nn.Module):
    """A BatchNorm of which every lane has its own: affine parameters and running statistics, as they were at first.

    Where no lane is in use, inputs are normalised by their own statistics and nothing is kept: what a lane would see
    that has just been born.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.lanes = Lanes()
        newborn = copy.deepcopy(norm)
        newborn.running_mean = newborn.running_var = None
        newborn.track_running_stats = False
        # Kept out of torch's sight: nobody trains, counts or saves what every lane starts from.
        self._first, self._newborn = (norm,), (newborn,)

    def grow(self, lane: str) -> None:
        """Give this lane a norm of its own, if it has none."""
        if lane not in self.lanes:
            self.lanes.add(lane, copy.deepcopy(self._first[0]))

    def forward(self, inputs: Tensor) -> Tensor:
        norm = self.lanes.now
        outputs: Tensor = (self._newborn[0] if norm is None else norm)(inputs)
        return outputs


def norms_by_lane(part: nn.Module) -> nn.Module:
    """The part with a `LaneNorm` in the place of each BatchNorm; where it is one itself, that is what returns."""
    if isinstance(part, _BatchNorm):
        return LaneNorm(part)
    made: dict[int, LaneNorm] = {}
    for module in list(part.modules()):
        # Not `named_children`, which names a module that has two names only once.
        for name, child in list(module._modules.items()):
            if isinstance(child, _BatchNorm):
                # A norm that is used in two places stays one norm.
                setattr(module, name, made.setdefault(id(child), LaneNorm(child)))
    return part


def lanes_in(part: nn.Module) -> Iterator[Lanes]:
    """Wherever lanes have something of their own in this part."""
    return (module for module in part.modules() if isinstance(module, Lanes))


def owners(part: nn.Module) -> dict[int, str]:
    """Parameters and buffers of the part that belong to one lane alone: its name, by their ids."""
    return {
        id(tensor): lane
        for lanes in lanes_in(part)
        for lane, module in zip(lanes.names, lanes.children(), strict=True)
        for tensor in (*module.parameters(), *module.buffers())
    }
