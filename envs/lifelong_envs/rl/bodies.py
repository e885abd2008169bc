"""The environments behind one lane: made when they are lived in, put away when they are left."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from lifelong_envs.rl.attributes import settle
from lifelong_envs.rl.places import Places
from lifelong_envs.rl.world import Env

Generators = Mapping[int, Mapping[str, Any]]
"""States of the environments' generators, by the number of the body, of those that have been reset."""


class Bodies:
    """Environments by the number of their body. Of one that is put away, only its generator is kept."""

    def __init__(self, places: Places, render_mode: str | None) -> None:
        self._worlds = places.bodies
        self._attributes = places.attributes
        self._render_mode = render_mode
        self._envs: dict[int, Env] = {}
        self._values: dict[int, tuple[float, ...]] = {}
        self._begun: set[int] = set()
        self._left: dict[int, Mapping[str, Any]] = {}

    def env(self, body: int) -> Env:
        """The environment, with its generator as it was left."""
        if body not in self._envs:
            self._envs[body] = self._worlds[body].built(self._render_mode)
            if body in self._left:
                # In place: whoever holds the generator goes on with it.
                self._envs[body].unwrapped.np_random.bit_generator.state = self._left.pop(body)
        return self._envs[body]

    def set(self, body: int, values: tuple[float, ...]) -> None:
        """Set what any world of this body sets, as far as it is not so already."""
        known = self._values.get(body)
        if known == values:
            return
        env = self.env(body).unwrapped
        for i, (attribute, value) in enumerate(zip(self._attributes[body], values, strict=True)):
            if known is None or known[i] != value:
                attribute.write(env, value)
        settle(env)
        self._values[body] = values

    def reset(self, body: int, seed: int, options: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; only the first one of an environment uses the seed."""
        first = None if body in self._begun else seed
        self._begun.add(body)
        return self.env(body).reset(seed=first, options=options)

    def reseed(self) -> None:
        """Let the next reset of each environment be its first."""
        self._begun.clear()
        self._left.clear()

    def keep(self, wanted: Set[int]) -> None:
        """Put away all others: they may be large."""
        for body in self._envs.keys() - wanted:
            env = self._envs.pop(body)
            self._values.pop(body, None)
            if body in self._begun:
                self._left[body] = env.unwrapped.np_random.bit_generator.state
            env.close()

    @property
    def generators(self) -> Generators:
        alive = {b: self._envs[b].unwrapped.np_random.bit_generator.state for b in self._begun & self._envs.keys()}
        return {**self._left, **alive}

    @generators.setter
    def generators(self, states: Generators) -> None:
        self.keep(frozenset())
        self._left, self._begun = dict(states), set(states)

    def close(self) -> None:
        for env in self._envs.values():
            env.close()
