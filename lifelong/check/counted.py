"""Lanes that count what is done in them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lifelong.interaction import Lane


def counted(lane: Lane) -> Any:
    """The lane, with `taken` steps and `cut` episodes, those that a reset ended. Shows the lane's own `observation`."""
    return _kind()(lane)


@cache
def _kind() -> Any:
    # A subclass of gymnasium's, which is slow to load and needed by nobody else here.
    import gymnasium

    class Counting(gymnasium.Wrapper[Any, Any, Any, Any]):
        def __init__(self, lane: Lane) -> None:
            super().__init__(lane)
            self.taken = self.cut = 0
            # One that stands in the middle of an episode has begun.
            self._runs = self.observation is not None

        @property
        def observation(self) -> Any:
            return getattr(self.env, "observation", None)

        def step(self, action: Any) -> Any:
            result = super().step(action)
            self.taken += 1
            self._runs = not (result[2] or result[3])
            return result

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            self.cut += self._runs
            self._runs = True
            return super().reset(seed=seed, options=options)

    return Counting
