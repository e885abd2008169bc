"""When a stream of worlds changes from one to the next, how, and how long each is lived in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Way = Literal["now", "episode", "reset", "gradual"]


@dataclass(frozen=True, slots=True)
class Change:
    """A lane enters a world: after `at` of its own steps, in which way, and over how many steps where gradually."""

    at: int
    task: str
    way: Way = "episode"
    over: int = 0


@dataclass(frozen=True, slots=True)
class Timetable:
    """The order of visits to worlds, their lengths, and the way from one to the next. All lengths in env steps.

    order: "A B A", or a list where names hold spaces; null visits each world once. steps: of a visit, one number for
    all or a list with one for each visit; all lanes together. lanes: environments that are lived in side by side.
    experience: steps of one experience.

    change: "episode" changes at the first end of an episode, lane by lane, and so never where episodes never end;
    "now" in the middle of one, which goes on; "reset" cuts the episodes that are running; "gradual" takes `over` steps:
    numbers that are set move from the old ones to the new, bit by bit, and what is no number (actions, observations,
    another environment) is the new world's in more and more episodes. offset: steps by which each change comes after
    the visit's first experience begins.

    Raises ValueError where lengths do not go into each other, with the nearest that do.
    """

    order: str | list[str] | None = None
    steps: int | list[int] = 40_960
    lanes: int = 8
    experience: int = 256
    change: Way = "episode"
    over: int = 0
    offset: int = 0

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise ValueError(f"timetable: lanes must be at least 1, got {self.lanes}.")
        if self.change not in get_args(Way):
            known = ", ".join(map(repr, get_args(Way)))
            raise ValueError(f"timetable: change={self.change!r}, expected one of {known}.")
        if self.order is not None and not self.named:
            raise ValueError(f'timetable: order {self.order!r} names no world. Write "A B A", or null for each once.')
        _divides("experience", self.experience, "lanes", self.lanes)
        if not self.lengths:
            raise ValueError("timetable: steps lists no length. Give one number for all visits, or one for each.")
        for steps in self.lengths:
            _divides("steps", steps, "experience", self.experience)
        if (self.change == "gradual") != (self.over > 0):
            raise ValueError(
                f"timetable: change={self.change!r} with over={self.over}: a gradual change needs the number of steps "
                "that it takes (over), and no other has one."
            )
        shortest = min(self.lengths)
        if self.offset:
            _divides("offset", self.offset, "lanes", self.lanes, "0 or ")
            if self.offset >= shortest:
                raise ValueError(f"timetable: offset={self.offset} does not fit into a visit of {shortest} steps.")
        if self.over:
            _divides("over", self.over, "lanes", self.lanes)
            if self.offset + self.over > shortest:
                raise ValueError(
                    f"timetable: over={self.over} does not fit into a visit of {shortest} steps after an offset of "
                    f"{self.offset}."
                )

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths in `steps`; a single one where all visits are equally long."""
        return (self.steps,) if isinstance(self.steps, int) else tuple(self.steps)

    @property
    def named(self) -> tuple[str, ...]:
        """The names in `order`, as often as they come; empty where no order is given."""
        return tuple(self.order.split() if isinstance(self.order, str) else self.order or ())

    def visits(self, worlds: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """The worlds to visit, in order, each with its steps.

        Raises ValueError for a name that is none of `worlds`, for two worlds of one name, and where `steps` does not
        list one length a visit.
        """
        twice = [name for name, count in Counter(worlds).items() if count > 1]
        if twice:
            raise ValueError(
                f"Several worlds would be called {', '.join(map(repr, twice))}. Give each a name of its own (task)."
            )
        for name in self.named:
            if name not in worlds:
                raise ValueError(
                    f"timetable: order names the world {name!r}, but this stream has {', '.join(map(repr, worlds))}."
                )
        order = self.named or tuple(worlds)
        if isinstance(self.steps, int):
            return tuple((name, self.steps) for name in order)
        if len(self.steps) != len(order):
            raise ValueError(
                f"timetable: steps lists {len(self.steps)} lengths for {len(order)} visits ({' '.join(order)}). Give "
                "one for each, or a single number."
            )
        return tuple(zip(order, self.steps, strict=True))

    def changes(self, worlds: Sequence[str]) -> tuple[Change, ...]:
        """The same for one lane, in its own steps."""
        found, begins = [], 0
        for visit, (name, steps) in enumerate(self.visits(worlds)):
            at = (begins + self.offset) // self.lanes if visit else 0
            found.append(Change(at, name, self.change, self.over // self.lanes if visit else 0))
            begins += steps
        return tuple(found)


def _divides(what: str, number: int, unit: str, by: int, otherwise: str = "") -> None:
    """Raises ValueError unless the number is a positive multiple."""
    if number >= 1 and number % by == 0:
        return
    below = max(1, number // by) * by
    near = f"{below} or {below + by}" if number > by else f"{below}"
    raise ValueError(f"timetable: {what} must be {otherwise}a multiple of {unit} ({by}), got {number}: take {near}.")


TURNS = Timetable()
"""Each world once, for 40,960 steps in 8 lanes; the next begins with an episode."""
