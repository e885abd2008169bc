"""What became of every parameter: protected how, frozen why, or free, and how much room is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

How = Literal["protected", "frozen", "per expert", "free"]


@dataclass(frozen=True, slots=True)
class Growth:
    """One layer's protection after a task: `rank` of `size` directions hold `energy` of what was seen."""

    layer: str
    rank: float
    size: int
    energy: float


@dataclass(frozen=True, slots=True)
class Kept:
    """One parameter: what is kept of it, why, and `rank` of the `size` directions in which it may not move any more.

    held: how its steps are held now, by whatever is attached.
    """

    parameter: str
    shape: tuple[int, ...]
    how: How
    why: str
    rank: float
    size: int
    held: str = ""

    @property
    def left(self) -> float:
        """Share (0..1) of its directions in which it may still move: the capacity left."""
        return 0.0 if self.size == 0 else 1.0 - self.rank / self.size


@dataclass(frozen=True, slots=True)
class Report:
    """Every parameter that was asked about, in the order of the model. Printing it gives a table."""

    rows: tuple[Kept, ...]

    def of(self, parameter: str) -> Kept:
        """The row of one parameter; KeyError, with the names there are, for any other."""
        for row in self.rows:
            if row.parameter == parameter:
                return row
        raise KeyError(f"{parameter!r} is none of {', '.join(row.parameter for row in self.rows)}.")

    @property
    def left(self) -> float:
        """Share (0..1) of all degrees of freedom, weighted by parameters, that is still free.

        What belongs to one expert alone is not counted: the next one cannot have it.
        """
        counts = [(row.left, _numel(row.shape)) for row in self.rows if row.how != "per expert"]
        return sum(left * n for left, n in counts) / max(1, sum(n for _, n in counts))

    def __str__(self) -> str:
        head = ("parameter", "shape", "is", "rank", "left", "held by", "why")
        lines = [head] + [_cells(row) for row in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head) - 1)]
        text = ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[-1]]) for line in lines]
        return "\n".join([*text, f"capacity left: {self.left:.0%} of all degrees of freedom"])


def _cells(row: Kept) -> tuple[str, ...]:
    shape, rank = "x".join(map(str, row.shape)), f"{round(row.rank, 1):g}/{row.size}"
    return row.parameter, shape, row.how, rank, f"{row.left:.0%}", row.held, row.why


def _numel(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
