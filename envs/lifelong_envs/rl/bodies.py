"""The environments behind one lane: made when lived in, put away when left, dropped where they fail."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any

import numpy as np

from lifelong_envs.rl.body import Body, call_of, in_a_line
from lifelong_envs.rl.places import Places

Generators = Mapping[int, Mapping[str, Any]]
"""States of the environments' generators, by the number of the body, of those that have been reset."""


class BodyFault(Exception):
    """An environment, by the number of its body, failed in what was asked of it; `error` says so, if anything does."""

    def __init__(self, body: int, why: str, error: BaseException | None = None) -> None:
        super().__init__(why)
        self.body, self.why, self.error = body, in_a_line(why), error


class Bodies:
    """Environments by the number of their body. Of one that is put away, only its generator is kept.

    anew: how often the environment of a body had to be made anew since its seed was given; the next one is seeded by
    that number, too. What is asked of an environment that fails raises BodyFault.
    """

    def __init__(self, places: Places, render_mode: str | None) -> None:
        self._places = places
        self._render_mode = render_mode
        self._bodies: dict[int, Body] = {}
        self._values: dict[int, tuple[float, ...]] = {}
        self._begun: set[int] = set()
        self._left: dict[int, Mapping[str, Any]] = {}
        self.anew: dict[int, int] = {}

    def body(self, body: int) -> Body:
        """The environment, with its generator as it was left."""
        if body not in self._bodies:
            try:
                self._bodies[body] = self._places.made(body, self._render_mode)
                if body in self._left:
                    self._bodies[body].set_generator(self._left.pop(body))
            except (Exception, SystemExit) as error:
                raise self._fault(body, "make", error) from error
        return self._bodies[body]

    def set(self, body: int, values: tuple[float, ...]) -> None:
        """Set what any world of this body sets, as far as it is not so already."""
        known = self._values.get(body)
        if known == values:
            return
        one = self.body(body)
        paths = self._places.attributes[body]
        changes = [
            (path, value)
            for i, (path, value) in enumerate(zip(paths, values, strict=True))
            if known is None or known[i] != value
        ]
        try:
            one.write(changes)
        except (Exception, SystemExit) as error:
            raise self._fault(body, "write", error) from error
        self._values[body] = values

    def reset(self, body: int, seed: int, options: dict[str, Any] | None) -> Any:
        """Begin an episode; only the first one of an environment uses the seed."""
        first = None if body in self._begun else seeded(seed, self.anew.get(body, 0))
        one = self.body(body)
        try:
            begun = one.reset(first, options)
        except (Exception, SystemExit) as error:
            raise self._fault(body, "reset", error) from error
        self._begun.add(body)
        return begun

    def reseed(self) -> None:
        """Let the next reset of each environment be its first."""
        self._begun.clear()
        self._left.clear()
        self.anew.clear()

    def keep(self, wanted: Set[int]) -> None:
        """Put away all others: they may be large."""
        for body in self._bodies.keys() - wanted:
            if body in self._begun:
                self._left[body] = self._generator(body)
            self._put_away(body)

    def drop(self, body: int) -> None:
        """Make an end of an environment that failed: the next one of its body is another one."""
        self._put_away(body)
        self._begun.discard(body)
        self._left.pop(body, None)
        self.anew[body] = self.anew.get(body, 0) + 1

    @property
    def generators(self) -> Generators:
        alive = {body: self._generator(body) for body in sorted(self._begun & self._bodies.keys())}
        return {**self._left, **alive}

    def take_up(self, generators: Generators, anew: Mapping[int, int]) -> None:
        """Go on where others were."""
        self.close()
        self._left, self._begun, self.anew = dict(generators), set(generators), dict(anew)

    def close(self) -> None:
        """Make an end of all of them."""
        for body in tuple(self._bodies):
            self._put_away(body)

    def _put_away(self, body: int) -> None:
        self._values.pop(body, None)
        one = self._bodies.pop(body, None)
        if one is not None:
            # What has failed may fail again as it is closed.
            with suppress(Exception, SystemExit):
                one.close()

    def _generator(self, body: int) -> Mapping[str, Any]:
        try:
            return self._bodies[body].generator()
        except (Exception, SystemExit) as error:
            raise self._fault(body, "generator", error) from error

    def _fault(self, body: int, name: str, error: BaseException) -> BodyFault:
        one = self._bodies.get(body)
        # What cannot be made says so itself.
        return BodyFault(body, str(error) if one is None else one.why(error, call_of(name)), error)


def seeded(seed: int, anew: int) -> int:
    """What an environment is seeded with that was made anew so many times."""
    if not anew:
        return seed
    (mixed,) = np.random.SeedSequence([seed, anew, 2]).generate_state(1)
    return int(mixed) % 2**31
