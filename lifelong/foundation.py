"""A foundation: a network, what in it must not be unlearned, and whether it is in memory or put away on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import torch
from torch import Tensor, nn

from lifelong.assembly import Assembly
from lifelong.experience import Batch
from lifelong.held import lane_rows, report_of
from lifelong.lanes import lanes_in
from lifelong.shelf import Shelf
from lifelong.subspace.protection import Protection
from lifelong.subspace.report import Growth, Report

_clock = count()


class Foundation:
    """A network, and what in its body must be left alone (memory None: nothing, it has one owner for ever).

    With `heads_too` the heads are protected like the body: for one network whose head serves every task. `lanes` counts
    the experts on it: a lone owner remembers what it used, for those who may come, and moves freely. `may_stay_alone`:
    where the memory cannot protect the network, it is given up instead of refusing to go on.
    """

    def __init__(self, assembly: Assembly, heads_too: bool = False, may_stay_alone: bool = True) -> None:
        self.assembly, self.heads_too, self.may_stay_alone = assembly, heads_too, may_stay_alone
        self.memory: Protection | None = None
        self.lanes = 0
        self.used = next(_clock)
        # Where the weights are on the shelf, if they have not changed since; and whether they are nowhere else.
        self.ticket: str | None = None
        self._away: tuple[Shelf, str] | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._nonzero = 0

    @property
    def is_guarded(self) -> bool:
        """Whether there is somebody's knowledge to be spared."""
        return self.memory is not None and (self.heads_too or self.lanes > 1)

    @property
    def is_away(self) -> bool:
        return self._away is not None

    def protected_parts(self) -> list[tuple[str, nn.Module]]:
        parts = list(self.assembly.body())
        if self.heads_too:
            parts += [(f"heads.{name}", head) for name, head in self.assembly.heads.items()]
        return parts

    def apart(self) -> list[nn.Module]:
        """What in the protected parts is no part of what is shared: each lane's own, where lanes are experts."""
        return [] if self.heads_too else [own for _, part in self.assembly.body() for own in lanes_in(part)]

    def consolidate(self, batches: Sequence[Batch], lane: str) -> Sequence[Growth]:
        """Remember what these batches use of the network, in this lane; what others have to spare of that from now on.

        Raises ValueError where the network cannot be protected and must be.
        """
        if self.memory is None:
            return ()
        refusal = self.memory.refuses()
        if refusal is not None:
            if not self.may_stay_alone:
                raise ValueError(refusal)
            self.memory = None
            return ()
        self.assembly.eval()
        with torch.no_grad(), self.memory.watching():
            for batch in batches:
                self.memory.next_pass()
                self.assembly(batch.inputs, batch.contract, lane, batch.task)
        grown = self.memory.consolidate()
        return grown if self.is_guarded else ()

    def wake(self) -> Assembly:
        """The network with its weights, fetched from the disk if they are there."""
        self.used = next(_clock)
        if self._away is not None:
            shelf, ticket = self._away
            kept = shelf.take(ticket, self.assembly.device)
            for name, tensor in self._tensors().items():
                tensor.data = kept[name]
            self._away, self._shapes = None, {}
        return self.assembly

    def touch(self) -> None:
        """Somebody is about to learn: what is on the shelf will not be what it is."""
        self.wake()
        self.ticket = None

    def put_away(self, shelf: Shelf, ticket: str | None = None) -> None:
        """Keep the weights on the disk alone; with a ticket they are there already."""
        if self._away is not None:
            return
        tensors = self._tensors()
        self.ticket = ticket or self.ticket or shelf.put(tensors)
        self._nonzero = self.nonzero
        self._shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        for tensor in tensors.values():
            tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        self._away = shelf, self.ticket

    def _tensors(self) -> dict[str, Tensor]:
        return dict((*self.assembly.named_parameters(), *self.assembly.named_buffers()))

    def parameters(self) -> int:
        """Trainable numbers, wherever they are."""
        shapes = {name: self._shapes.get(name, tuple(p.shape)) for name, p in self.assembly.named_parameters()}
        return sum(torch.Size(shape).numel() for shape in shapes.values())

    @property
    def nonzero(self) -> int:
        """Trainable numbers that are not zero, wherever they are."""
        return self._nonzero if self.is_away else sum(int(p.count_nonzero()) for p in self.assembly.parameters())

    def bytes(self) -> int:
        """What the weights take in memory, with what protects them."""
        protecting = 0 if self.memory is None else _bytes_in(self.memory.state_dict())
        return protecting + sum(t.numel() * t.element_size() for t in self._tensors().values())

    def archived(self) -> int:
        """Bytes on the disk, of weights that are nowhere else."""
        return 0 if self._away is None else self._away[0].bytes(self._away[1])

    def report(self) -> Report:
        """What holds every parameter; empty where nothing is ever protected."""
        if self.memory is None:
            return report_of(self.assembly)
        rows = list(self.memory.report().rows)
        if not self.is_guarded:
            rows = [replace(r, how="free", why="its only expert moves freely", rank=0, size=1) for r in rows]
        return Report(tuple(rows if self.heads_too else [*rows, *lane_rows(self.assembly)]))


def _bytes_in(state: object) -> int:
    """Bytes of all tensors in nested plain data."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(map(_bytes_in, state.values()))
    return sum(map(_bytes_in, state)) if isinstance(state, list | tuple) else 0
