"""Samples kept of the past, drawn again while new ones are learned.

Samples of one kind (a contract, and the task where it is told) lie in one tensor; all kinds share the capacity.

Each sample draws a key, uniform in [0, 1), as it comes, and is of a group; a group keeps those whose keys are below its
limit, 1 at first. Where there is no room, the largest group gives up its highest key, which is its limit from then on.
So whether a sample is here depends on its own key and on how much room its group had, and never on when it came: a
group is a uniform draw of its past, however its room changes, and also once some of that past has been taken back.
Sources: Cohen & Kaplan 2007 (samples by their lowest keys); Chrysakis & Moens 2020 (the largest class makes room).
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.method import Stored, whole
from lifelong.retention.model import bytes_of

Balance = Literal["reservoir", "class"]
"""reservoir: every sample of the past is kept with the same chance. class: as many of each class of each kind as can
be, each class a uniform draw of its own past."""


UNDONE = 128
"""The latest batches that can be taken back; no trail reaches so far."""


Name = tuple[int, int]
"""Of a group: its kind and its class there."""

EVERYBODY: Name = (-1, 0)


@dataclass(slots=True)
class _Place:
    """A sample that is kept: its kind, its row there, when it came, its group and key; spot: where it is listed."""

    kind: int
    row: int
    arrived: int
    group: Name
    key: float
    spot: int = -1


@dataclass(slots=True)
class _Group:
    """Samples that share a limit: how many there ever were, and those below it, the highest key first."""

    seen: int = 0
    limit: float = 1.0
    kept: list[tuple[float, int, _Place]] = field(default_factory=list)

    def push(self, place: _Place) -> None:
        heapq.heappush(self.kept, (-place.key, place.arrived, place))


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
        if not whole(capacity):
            raise ValueError(f"capacity must be a whole number of at least 1 sample, got {capacity}.")
        if balance not in get_args(Balance):
            raise ValueError(f"balance must be one of {', '.join(get_args(Balance))}, got {balance!r}.")
        self.capacity, self.balance = capacity, balance
        self._random = torch.Generator().manual_seed(seed)
        self._kinds: list[_Kind] = []
        self._places: list[_Place] = []
        # Samples that were ever added.
        self._added = 0
        self._groups: dict[Name, _Group] = {}
        # Whose the latest samples were, so that they can be taken back.
        self._latest: deque[dict[Name, int]] = deque(maxlen=UNDONE)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, batch: Batch, *columns: Tensor) -> None:
        """Offer a batch's inputs and targets, and further (B, ...) columns."""
        number, kind = self._kind(batch.contract, batch.task)
        names = self._named(number, batch)
        keys = torch.rand(len(names), dtype=torch.float64, generator=self._random).tolist()
        taken: list[tuple[int, _Place]] = []
        for row, (name, key) in enumerate(zip(names, keys, strict=True)):
            group = self._groups.setdefault(name, _Group())
            group.seen += 1
            self._added += 1
            if key < group.limit:
                place = _Place(number, -1, self._added, name, key)
                self._list(place)
                taken.append((row, place))
                if len(self._places) > self.capacity:
                    self._make_room()
        self._latest.append(dict(Counter(names)))
        # One that was taken in and left again within this batch was never written.
        taken = [(row, place) for row, place in taken if place.spot >= 0]
        if taken:
            rows = kind.take((batch.inputs, batch.targets, *columns), [row for row, _ in taken], len(taken))
            for (_, place), row in zip(taken, rows, strict=True):
                place.row = row

    def _named(self, number: int, batch: Batch) -> list[Name]:
        """The group of each sample."""
        if self.balance == "reservoir":
            return [EVERYBODY] * len(batch.targets)
        if not isinstance(batch.contract.objective, Classification):
            return [(number, 0)] * len(batch.targets)
        return [(number, label) for label in batch.targets.tolist()]

    def _make_room(self) -> None:
        """The largest group gives up its highest key; of several that are as large, any."""
        largest = max(len(group.kept) for group in self._groups.values())
        full = [group for group in self._groups.values() if len(group.kept) == largest]
        which = int(torch.randint(len(full), (), generator=self._random)) if len(full) > 1 else 0
        _, _, place = heapq.heappop(full[which].kept)
        full[which].limit = place.key
        self._unlist(place)

    def _list(self, place: _Place) -> None:
        place.spot = len(self._places)
        self._places.append(place)
        self._groups[place.group].push(place)

    def _unlist(self, place: _Place) -> None:
        """Its group has let go of it."""
        last = self._places.pop()
        if last is not place:
            self._places[place.spot], last.spot = last, place.spot
        if place.row >= 0:
            self._kinds[place.kind].free.append(place.row)
        place.spot = -1

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
        """The latest batches, of so many samples in all, should not have been.

        Who left for them is not called back, and limits stay: there is room until as many have come again.
        """
        self._added -= samples
        left = samples
        while left > 0 and self._latest:
            for name, count in self._latest.pop().items():
                self._groups[name].seen -= count
                left -= count
        for place in [place for place in self._places if place.arrived > self._added]:
            self._unlist(place)
        # A group of which nothing is left begins anew, if it comes again.
        self._groups = {name: group for name, group in self._groups.items() if group.seen > 0}
        for group in self._groups.values():
            group.kept = [entry for entry in group.kept if entry[2].spot >= 0]
            heapq.heapify(group.kept)

    def stored(self) -> Stored:
        used = sum(bytes_of(column[:1] for column in self._kinds[place.kind].columns) for place in self._places)
        return Stored(len(self._places), used)

    def state_dict(self) -> dict[str, Any]:
        return {
            "random": self._random.get_state(),
            "kinds": [(k.contract, k.task, [c.clone() for c in k.columns], list(k.free)) for k in self._kinds],
            "places": [(p.kind, p.row, p.arrived, p.group, p.key) for p in self._places],
            "groups": [(name, group.seen, group.limit) for name, group in self._groups.items()],
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
        self._groups = {tuple(name): _Group(seen, limit) for name, seen, limit in state["groups"]}
        self._places = []
        for kind, row, arrived, group, key in state["places"]:
            self._list(_Place(kind, row, arrived, tuple(group), key))
        self._added, self._latest = state["added"], deque(state["latest"], maxlen=UNDONE)
