"""Samples kept of the past, drawn again while new ones are learned.

Samples of one kind (a contract, and the task where it is told) lie in one tensor; all kinds share the capacity.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.method import Stored
from lifelong.retention.model import bytes_of

Balance = Literal["reservoir", "class"]
"""reservoir: every sample of the past is kept with the same chance (Vitter 1985, algorithm R). class: as many of each
class of each kind as can be, each class a uniform draw of its own past (Chrysakis & Moens 2020)."""


UNDONE = 128
"""The latest batches that can be taken back; no trail reaches so far."""


@dataclass(slots=True)
class _Place:
    """Where a kept sample is: its kind, its row there, when it came, and the group that it takes room of."""

    kind: int
    row: int
    arrived: int
    group: tuple[int, int]


class _Kind:
    """The samples of one contract and task: rows of tensors, some of them free."""

    def __init__(self, contract: Contract, task: str | None) -> None:
        self.contract, self.task = contract, task
        self.columns: list[Tensor] = []
        self.free: list[int] = []

    def take(self, columns: Sequence[Tensor], source: list[int], count: int) -> list[int]:
        """Copy rows `source` of these columns into free rows; where there are too few, the tensors grow."""
        if not self.columns:
            self.columns = [column.new_zeros((0, *column.shape[1:])) for column in columns]
        if len(self.free) < count:
            size = len(self.columns[0])
            more = max(count - len(self.free), size // 2, 16)
            grown = [torch.cat([kept, kept.new_zeros((more, *kept.shape[1:]))]) for kept in self.columns]
            self.columns, self.free = grown, [*range(size + more - 1, size - 1, -1), *self.free]
        rows = [self.free.pop() for _ in range(count)]
        for kept, column in zip(self.columns, columns, strict=True):
            kept[rows] = column[source].to(kept.dtype)
        return rows


class Memory:
    """At most `capacity` samples of all that were added; with each, whatever columns it came with (inputs first).

    Raises ValueError for a capacity below 1.
    """

    def __init__(self, capacity: int, balance: Balance = "reservoir", seed: int = 0) -> None:
        if capacity < 1:
            raise ValueError(f"A memory needs room for at least 1 sample, got capacity={capacity}.")
        if balance not in get_args(Balance):
            raise ValueError(f"balance must be one of {', '.join(get_args(Balance))}, got {balance!r}.")
        self.capacity, self.balance = capacity, balance
        self._random = torch.Generator().manual_seed(seed)
        self._kinds: list[_Kind] = []
        self._places: list[_Place] = []
        # Samples that were ever added, in all and of each group; and how many of each group are here.
        self._added = 0
        self._groups: dict[tuple[int, int], int] = {}
        self._sizes: dict[tuple[int, int], int] = {}
        # Whose the latest samples were, so that they can be taken back.
        self._latest: deque[dict[tuple[int, int], int]] = deque(maxlen=UNDONE)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, batch: Batch, *columns: Tensor) -> None:
        """Offer a batch's inputs and targets, and further (B, ...) columns."""
        number, kind = self._kind(batch.contract, batch.task)
        labels = self._labels(batch)
        chances = torch.rand(2, len(labels), dtype=torch.float64, generator=self._random).tolist()
        kept: list[tuple[int, _Place]] = []
        for row, label in enumerate(labels):
            group = (number, label)
            seen = self._groups.get(group, 0)
            self._groups[group] = seen + 1
            self._added += 1
            if len(self._places) >= self.capacity and not self._make_room(
                group, seen, chances[0][row], chances[1][row]
            ):
                continue
            place = _Place(number, -1, self._added, group)
            self._places.append(place)
            self._sizes[group] = self._sizes.get(group, 0) + 1
            kept.append((row, place))
        self._latest.append(dict(Counter((number, label) for label in labels)))
        # One that was taken in and left again within this batch was never written.
        kept = [(row, place) for row, place in kept if place.arrived > 0]
        if kept:
            rows = kind.take((batch.inputs, batch.targets, *columns), [row for row, _ in kept], len(kept))
            for (_, place), row in zip(kept, rows, strict=True):
                place.row = row

    def _labels(self, batch: Batch) -> list[int]:
        if self.balance == "reservoir" or not isinstance(batch.contract.objective, Classification):
            return [0] * len(batch.targets)
        return batch.targets.tolist()

    def _make_room(self, group: tuple[int, int], seen: int, chance: float, which: float) -> bool:
        """Whether a sample comes in, and who leaves for it; `seen` of its group came before."""
        if self.balance == "reservoir":
            if chance * self._added >= self.capacity:
                return False
            self._drop(int(which * len(self._places)))
            return True
        largest, mine = max(self._sizes.values()), self._sizes.get(group, 0)
        if mine < largest:
            full = [one for one in self._groups if self._sizes.get(one) == largest]
            leaving = full[int(chance * len(full))]
        elif chance * (seen + 1) < mine:
            leaving = group
        else:
            return False
        members = [spot for spot, place in enumerate(self._places) if place.group == leaving]
        self._drop(members[int(which * len(members))])
        return True

    def _drop(self, spot: int) -> None:
        place = self._places[spot]
        self._places[spot] = self._places[-1]
        self._places.pop()
        self._sizes[place.group] -= 1
        if place.row >= 0:
            self._kinds[place.kind].free.append(place.row)
        place.arrived = -1

    def _kind(self, contract: Contract, task: str | None) -> tuple[int, _Kind]:
        for number, kind in enumerate(self._kinds):
            if (kind.contract is contract or kind.contract == contract) and kind.task == task:
                return number, kind
        self._kinds.append(_Kind(contract, task))
        return len(self._kinds) - 1, self._kinds[-1]

    def draw(self, count: int) -> list[tuple[Batch, list[Tensor]]]:
        """`count` samples (all, if there are fewer), none twice: a batch and its columns, for each kind."""
        if count >= len(self._places):
            return self.all()
        spots = torch.randperm(len(self._places), generator=self._random)[:count].tolist()
        return self._gathered([self._places[spot] for spot in spots])

    def all(self) -> list[tuple[Batch, list[Tensor]]]:
        """Every sample that is kept, in the order in which they came."""
        return self._gathered(sorted(self._places, key=lambda place: place.arrived))

    def _gathered(self, places: Sequence[_Place]) -> list[tuple[Batch, list[Tensor]]]:
        rows: dict[int, list[int]] = {}
        for place in places:
            rows.setdefault(place.kind, []).append(place.row)
        found = []
        for number, mine in rows.items():
            kind = self._kinds[number]
            inputs, targets, *columns = (column[mine] for column in kind.columns)
            found.append((Batch(inputs, targets, kind.contract, kind.task), columns))
        return found

    def retract(self, samples: int) -> None:
        """The latest batches, of so many samples in all, should not have been; who left for them is not called back."""
        self._added -= samples
        left = samples
        while left > 0 and self._latest:
            for group, count in self._latest.pop().items():
                self._groups[group] -= count
                left -= count
        for spot in range(len(self._places) - 1, -1, -1):
            if self._places[spot].arrived > self._added:
                self._drop(spot)

    def stored(self) -> Stored:
        used = sum(bytes_of(column[:1] for column in self._kinds[place.kind].columns) for place in self._places)
        return Stored(len(self._places), used)

    def state_dict(self) -> dict[str, Any]:
        return {
            "random": self._random.get_state(),
            "kinds": [(k.contract, k.task, [c.clone() for c in k.columns], list(k.free)) for k in self._kinds],
            "places": [(place.kind, place.row, place.arrived, place.group) for place in self._places],
            "groups": list(self._groups.items()),
            "added": self._added,
            "latest": list(self._latest),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._random.set_state(state["random"].cpu())
        self._kinds = []
        for contract, task, columns, free in state["kinds"]:
            kind = _Kind(contract, task)
            kind.columns, kind.free = [column.clone() for column in columns], list(free)
            self._kinds.append(kind)
        self._places = [_Place(kind, row, arrived, tuple(group)) for kind, row, arrived, group in state["places"]]
        self._groups = {tuple(group): count for group, count in state["groups"]}
        self._sizes = dict(Counter(place.group for place in self._places))
        self._added, self._latest = state["added"], deque(state["latest"], maxlen=UNDONE)
