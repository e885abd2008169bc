"""Where messages come from that were not made for this run: the contract that any transport can meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Message:
    """What arrived: its text, and the position from which its source goes on after it."""

    position: str
    text: str


class SourceLost(OSError):
    """A source gives nothing any more, and waiting has not helped."""


@runtime_checkable
class Source(Protocol):
    """Gives messages in an order that never changes, each with a position; any position is good for going on after it.

    Nothing is lost and nothing comes twice where `begin` is given the position of the last message that was kept.
    """

    def begin(self, after: str | None) -> None:
        """Give what comes after this position from now on (None: as the source is set up to begin).

        Raises ValueError where that position is not in it any more.
        """
        ...

    def take(self, limit: int, wait: float) -> Sequence[Message] | None:
        """The next messages, `limit` at most; none where none came within `wait` seconds; None: there will be no more.

        Raises SourceLost where what lies behind it is gone.
        """
        ...

    def acknowledge(self, position: str) -> None:
        """All messages up to this one are in a checkpoint that lasts: those who wrote them may forget them."""
        ...
