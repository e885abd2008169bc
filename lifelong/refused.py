"""What came and said nothing to learn from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """A message at this position of its source was left out, and `why`; with it they are `so_far`.

    Where there are many, most of them are only counted.
    """

    position: str
    why: str
    so_far: int
