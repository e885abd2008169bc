"""Samples kept of a stream, evenly over groups, each group a uniform draw of all that it ever had.

Every sample has a priority, a number that looks random and depends on the sample and the seed alone; a group keeps
those of the highest. So a sample that comes again, in the next epoch, is known and takes no second place; a smaller
share, when more groups appear, is the same as if it had been the share from the start; nothing is drawn at random.
Sources: Efraimidis & Spirakis 2006 (reservoirs by priorities); Zhu et al. 2022 (TAME: a min-heap for each class).
"""

from __future__ import annotations

import heapq
from typing import Any

import torch
from torch import Tensor

_MASK = (1 << 63) - 1


class Reservoir:
    """Keeps at most `capacity` samples, as many of each group (what does not divide evenly is left free).

    inputs: (N, ...) in the order of their priorities, so that equal contents come in an equal order. labels: (N,)
    int64, whatever is to be stored beside an input. `version` counts changes. Raises ValueError for a capacity below 1.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1 sample, got {capacity}.")
        self.capacity, self._seed = capacity, seed
        self._inputs: Tensor | None = None
        self._labels = torch.zeros(capacity, dtype=torch.int64)
        self._heaps: dict[int, list[tuple[int, int]]] = {}
        self._free: list[int] = list(range(capacity))[::-1]
        self._held: set[tuple[int, int]] = set()
        self._salt: Tensor | None = None
        self.version = 0

    def __len__(self) -> int:
        return self.capacity - len(self._free)

    @property
    def quota(self) -> int:
        """Samples that each group may have now."""
        return max(1, self.capacity // max(1, len(self._heaps)))

    def add(self, inputs: Tensor, labels: Tensor, groups: Tensor) -> None:
        """Offer (B, ...) inputs with labels (B,) and groups (B,), both int64.

        Raises ValueError for inputs of another shape than before, and for more groups than there are places.
        """
        if self._inputs is None:
            self._inputs = inputs.new_zeros((self.capacity, *inputs.shape[1:]))
        if inputs.shape[1:] != self._inputs.shape[1:]:
            raise ValueError(
                f"The reservoir holds samples of shape {tuple(self._inputs.shape[1:])}, got {tuple(inputs.shape[1:])}: "
                "keep another one for those."
            )
        members = groups.tolist()
        self._make_room(members)
        rows, places = [], []
        for row, (group, priority) in enumerate(zip(members, self.priorities(inputs).tolist(), strict=True)):
            place = self._place(group, priority)
            if place is not None:
                rows.append(row)
                places.append(place)
        if rows:
            self.version += 1
            # A place may have been taken twice within a batch: the later sample has it.
            last = dict(zip(places, rows, strict=True))
            to, source = list(last), list(last.values())
            self._inputs[to] = inputs[source]
            self._labels[to] = labels[source].to(self._labels.device)

    def _make_room(self, members: list[int]) -> None:
        new = dict.fromkeys(group for group in members if group not in self._heaps)
        if len(self._heaps) + len(new) > self.capacity:
            raise ValueError(
                f"A reservoir of {self.capacity} samples cannot keep one of each of {len(self._heaps) + len(new)} "
                "groups: give it a larger capacity."
            )
        self._heaps |= {group: [] for group in new}
        for group, heap in self._heaps.items() if new else ():
            while len(heap) > self.quota:
                priority, place = heapq.heappop(heap)
                self._held.discard((group, priority))
                self._free.append(place)
                self.version += 1

    def _place(self, group: int, priority: int) -> int | None:
        """Where a sample goes; None where it is not kept, or is there already."""
        heap = self._heaps[group]
        if (group, priority) in self._held or (len(heap) >= self.quota and priority <= heap[0][0]):
            return None
        if len(heap) < self.quota:
            place = self._free.pop()
            heapq.heappush(heap, (priority, place))
        else:
            lowest, place = heapq.heapreplace(heap, (priority, heap[0][1]))
            self._held.discard((group, lowest))
        self._held.add((group, priority))
        return place

    def priorities(self, inputs: Tensor) -> Tensor:
        """(B, ...) inputs -> (B,) int64 in [0, 2^63), uniform over different samples, equal for equal ones."""
        rows = inputs.detach().to(torch.float32).flatten(1).contiguous().view(torch.int32).to(torch.int64)
        if self._salt is None or self._salt.shape[0] != rows.shape[1] or self._salt.device != rows.device:
            random = torch.Generator().manual_seed(self._seed)
            salt = torch.randint(-(2**62), 2**62, (rows.shape[1],), generator=random)
            self._salt = (2 * salt + 1).to(rows.device)
        # Sums of whole numbers wrap around and know no order: the same on every machine, in every batch.
        mixed = (rows * self._salt).sum(1) + self._seed
        for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
            mixed = (mixed ^ ((mixed >> shift) & (_MASK >> (shift - 1)))) * factor
        return (mixed ^ ((mixed >> 31) & (_MASK >> 30))) & _MASK

    def _order(self) -> list[int]:
        entries = sorted((priority, group, place) for group, heap in self._heaps.items() for priority, place in heap)
        return [place for _, _, place in entries]

    @property
    def inputs(self) -> Tensor:
        if self._inputs is None:
            raise ValueError("The reservoir is empty: nothing has been offered yet.")
        return self._inputs[self._order()]

    @property
    def labels(self) -> Tensor:
        labels = self._labels[self._order()]
        return labels if self._inputs is None else labels.to(self._inputs.device)

    def clear(self) -> None:
        """Forget all samples and groups."""
        self._heaps, self._held, self._free = {}, set(), list(range(self.capacity))[::-1]
        self.version += 1

    def state_dict(self) -> dict[str, Any]:
        """The samples that are kept, in order, and who they belong to."""
        order = self._order()
        entries = sorted((priority, group) for group, heap in self._heaps.items() for priority, _ in heap)
        return {
            "inputs": None if self._inputs is None else self._inputs[order],
            "labels": self._labels[order],
            "priorities": [priority for priority, _ in entries],
            "groups": [group for _, group in entries],
            "known": list(self._heaps),
            "version": self.version,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.clear()
        count = len(state["priorities"])
        self._inputs = None
        if state["inputs"] is not None:
            self._inputs = state["inputs"].new_zeros((self.capacity, *state["inputs"].shape[1:]))
            self._inputs[:count] = state["inputs"]
        self._labels[:count] = state["labels"].to(self._labels.device)
        self._free = list(range(count, self.capacity))[::-1]
        self._heaps = {group: [] for group in state["known"]}
        for place, (priority, group) in enumerate(zip(state["priorities"], state["groups"], strict=True)):
            heapq.heappush(self._heaps[group], (priority, place))
            self._held.add((group, priority))
        self.version = state["version"]
