"""Is the world on its way, and the active expert with it? One that was never at rest anywhere is nobody to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TRANSIT = 750
"""Batches without a further sign after which a world that drifted has come to rest; more where signs are rarer."""

STILL = 100
"""Batches without a further sign after which a world that had just changed was one of its own."""


class Transit:
    """What is known of the world's way, in batches since the active expert began.

    position: how many those are by now. succeeded: number of the expert whom the active one took over from in a drift
    (None: nobody).
    """

    def __init__(self, position: Callable[[], int]) -> None:
        self._position = position
        self._at_rest, self._last_sign, self._young, self._follows = 0, 0, False, False
        self.succeeded: int | None = None

    def begin(self, on_its_way: bool, after: int | None) -> None:
        """Another expert is the active one. after: whom it succeeded in a world that is known to drift."""
        self._at_rest, self._last_sign = TRANSIT if on_its_way else 0, 0
        self._young, self._follows, self.succeeded = on_its_way, after is not None, after

    @property
    def goes_on(self) -> bool:
        """Whether the world drifted a short while ago: an expert on its way is nobody whom to come back to."""
        return self._position() < self._at_rest

    @property
    def is_passing(self) -> bool:
        """Whether the world has not stood still for any time: a further sign is one of the same way."""
        return self.goes_on and self._position() - self._last_sign < STILL

    @property
    def follows(self) -> bool:
        """Whether the active expert came with a drift, or has followed one."""
        return self._follows

    def comes_to_rest(self) -> bool:
        """Whether a world that drifted has stopped to, since this was asked last."""
        if self.goes_on:
            return False
        rests, self._young, self._follows = self._follows, False, False
        return rests

    def stands_still(self) -> None:
        """No sign at all since the last look: the world does not drift, or not any more."""
        self._at_rest = min(self._at_rest, self._position())

    def moves_on(self) -> None:
        """A sign: the world goes on drifting, and the expert with it."""
        position = self._position()
        self._follows = self._follows or (self._young and self.goes_on)
        # Slow drift gives rare signs: twice the time since the last one must pass without another.
        self._at_rest, self._last_sign = position + max(TRANSIT, 2 * (position - self._last_sign)), position

    def state_dict(self) -> dict[str, Any]:
        return {
            "at_rest": self._at_rest,
            "last_sign": self._last_sign,
            "young": self._young,
            "follows": self._follows,
            "succeeded": self.succeeded,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._at_rest, self._last_sign = state["at_rest"], state["last_sign"]
        self._young, self._follows, self.succeeded = state["young"], state["follows"], state["succeeded"]
