"""An environment, wherever it lives: in this process, or in one of its own."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from lifelong.saying import printable
from lifelong_envs.rl.attributes import Attribute, settle
from lifelong_envs.rl.moment import plain
from lifelong_envs.rl.world import Env, World

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LONGEST = 400
"""Letters of what an environment says as it fails that are kept."""


@dataclass(frozen=True, slots=True)
class Look:
    """What an environment is like from outside."""

    observation_space: Any
    action_space: Any
    metadata: Mapping[str, Any]


class Body(Protocol):
    """One environment. Whatever it is asked for may raise; `why` puts that into words."""

    def step(self, action: Any, /) -> Any: ...

    def look(self) -> Look: ...

    def reset(self, seed: int | None, options: dict[str, Any] | None) -> Any: ...

    def read(self, path: str) -> float:
        """What a number inside is now. Raises ValueError where there is none."""
        ...

    def write(self, values: Sequence[tuple[str, float]]) -> None:
        """Set numbers inside, by their paths."""
        ...

    def generator(self) -> Mapping[str, Any]:
        """The state of its generator."""
        ...

    def set_generator(self, state: Mapping[str, Any]) -> None: ...

    def render(self) -> Any: ...

    def close(self) -> None:
        """Make an end of it, in whatever state it is."""
        ...

    def why(self, error: BaseException, call: str) -> str:
        """What is said of an error that came out of a call."""
        ...


class Here:
    """An environment in this process. Raises ValueError, naming the world, where it cannot be made."""

    def __init__(self, world: World, render_mode: str | None = None) -> None:
        self._world, self.env = world, world.built(render_mode)
        # The environment's own, since it is called most.
        self.step: Callable[[Any], Any] = self.env.step

    def look(self) -> Look:
        return Look(self.env.observation_space, self.env.action_space, dict(self.env.metadata))

    def check(self) -> None:
        self._world.check()

    def reset(self, seed: int | None, options: dict[str, Any] | None) -> Any:
        return self.env.reset(seed=seed, options=options)

    def read(self, path: str) -> float:
        return Attribute(path).read(self.env.unwrapped)

    def write(self, values: Sequence[tuple[str, float]]) -> None:
        env = self.env.unwrapped
        for path, value in values:
            _attribute(path).write(env, value)
        settle(env)

    def generator(self) -> Mapping[str, Any]:
        return self.env.unwrapped.np_random.bit_generator.state

    def set_generator(self, state: Mapping[str, Any]) -> None:
        # In place: whoever holds the generator goes on with it.
        self.env.unwrapped.np_random.bit_generator.state = state

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()

    def why(self, error: BaseException, call: str) -> str:
        return raised(self._world, self.env, error, call)


@cache
def _attribute(path: str) -> Attribute:
    # Numbers that drift are set at every step.
    return Attribute(path)


def raised(world: World, env: Env, error: BaseException, call: str) -> str:
    """What is said of an environment that raised: what, and where in its own code."""
    frames, own = traceback.extract_tb(error.__traceback__), ""
    # Of a class that was made up as the program ran there is no file.
    with suppress(TypeError, OSError):
        own = inspect.getsourcefile(type(env.unwrapped)) or ""
    frame = next((frame for frame in reversed(frames) if frame.filename == own), frames[-1])
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return in_a_line(f"{world.env} raised {type(error).__name__} in {call}: {error} ({place})")


def call_of(name: str, *arguments: Any) -> str:
    """What an environment was asked for, in words."""
    return f"step({plain(arguments[0])!r:.80})" if name == "step" else f"{name}()"


def in_a_line(said: str) -> str:
    """The same without what differs from run to run, and not longer than can be read."""
    line = " ".join(_ADDRESS.sub("", said).split())
    return printable(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 4]} ...")
