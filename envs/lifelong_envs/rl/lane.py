"""One environment that lives through a timetable of worlds."""

from __future__ import annotations

import bisect
import inspect
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete

from lifelong.finite import foul, is_finite
from lifelong_envs.rl.bodies import Bodies
from lifelong_envs.rl.moment import Begun, digest, plain
from lifelong_envs.rl.places import Place, Places
from lifelong_envs.rl.timetable import Change
from lifelong_envs.rl.world import apart

_NEVER = sys.maxsize
_AT_ONCE = -1
_INFINITE = float("inf")
_KEPT = 64
"""Changes of world that are remembered, for messages."""


class Lane(gymnasium.Env[Any, Any]):
    """A gymnasium environment whose world changes at certain ones of its own steps, whoever steps it.

    Between changes a step costs a comparison. An episode's last info has `episode`: return r, length l, and seconds t
    since the lane was made. `observation` is the latest one, None before the first reset, so that an episode can be
    gone on with. The first reset of each environment uses `seed`, later ones go on from there. `number`: which of the
    lanes that are learned in it is (None: it is judged in).

    Raises ValueError where a way of changing is not possible between two worlds; from `step` and `reset` also where the
    environment fails, or gives a reward or first observation that is not finite, with the world and the step.
    """

    def __init__(
        self,
        places: Places,
        changes: Sequence[Change],
        seed: int = 0,
        render_mode: str | None = None,
        number: int | None = None,
    ) -> None:
        self.observation_space, self.action_space = places.observation_space, places.action_space
        self.render_mode = render_mode
        self.observation: Any = None
        self._bodies = Bodies(places, render_mode)
        self._changes = tuple(changes)
        self._places = tuple(places.by_task[change.task] for change in changes)
        self.metadata = places.metadata[self._places[0].body]
        self._starts = [change.at for change in changes]
        self._seed = seed
        self._np_random = self._draws = _draws(seed)
        # Actions are kept until the episode ends; an array may be one that its owner writes over.
        self._dtype = None if isinstance(self.action_space, Discrete) else self.action_space.dtype
        self._made = time.time()
        self._number = number
        self._been: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        self._begun: Begun | None = None
        self._played: list[Any] = []
        self._return = 0.0
        self._steps = 0
        self._wake = self._cut = _AT_ONCE
        self._place = self._places[0]
        for change, before, after in zip(self._changes[1:], self._places, self._places[1:], strict=False):
            if change.way == "now" and before.body != after.body:
                raise ValueError(apart(before.world, after.world))

    @property
    def steps(self) -> int:
        """How many steps it has lived."""
        return self._steps

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """As gymnasium wants it. Raises ResetNeeded before the first reset, and after an episode's end."""
        if self._steps >= self._wake:
            self._change()
        if self._dtype is not None:
            action = np.array(action, self._dtype)
        self._played.append(action)
        if self._act is not None:
            action = self._act(action)
        self._steps += 1
        try:
            observation, reward, terminated, truncated, info = self._env.step(action)
            if self._observe is not None:
                observation = self._observe(observation)
            earned = self._return + reward  # type: ignore[operator]
        except Exception as error:
            raise ValueError(self._failed(f"step({action!r:.80})", error)) from error
        if not -_INFINITE < earned < _INFINITE:
            raise ValueError(f"{self.whereabouts()}: {foul('reward', reward)}")
        self.observation = observation
        self._return = earned
        if terminated or truncated or self._steps == self._cut:
            truncated = truncated or not terminated
            ended = {"r": round(float(self._return), 6), "l": len(self._played)}
            info = {**info, "episode": {**ended, "t": round(time.time() - self._made, 6)}}
            self._wake = _AT_ONCE
        return observation, reward, terminated, truncated, info  # type: ignore[return-value]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in the world that is due. `seed` takes the place of the lane's own from then on."""
        if seed is not None:
            self._seed = seed
            self._np_random = self._draws = _draws(seed)
            self._bodies.reseed()
        self._begun = Begun(self._steps, seed, options, self._draws.bit_generator.state, self._bodies.generators)
        self._enter()
        try:
            observation, info = self._bodies.reset(self._place.body, self._seed, options)
            self.observation = observation if self._observe is None else self._observe(observation)
        except Exception as error:
            raise ValueError(self._failed("reset()", error)) from error
        if not is_finite(self.observation):
            where = self._where(self._place.world.task, self._steps)
            raise ValueError(f"{where}, at an episode's begin: {foul('observation', self.observation)}")
        self._played.clear()
        self._return = 0.0
        return self.observation, info

    def whereabouts(self, ago: int = 0) -> str:
        """Where it was so many steps ago, for messages: the world, the lane, and the lane's step (1 is the first)."""
        step = self._steps - ago
        return self._where(self._world_at(step), step)

    def _world_at(self, step: int) -> str:
        worlds = [task for since, task in self._been if since < step] or [self._place.world.task]
        return worlds[-1]

    def _where(self, task: str, step: int) -> str:
        return f"world {task!r}, {'judging' if self._number is None else f'lane {self._number}'}, step {step:,}"

    def _failed(self, call: str, error: Exception) -> str:
        """What is said of an environment that raised."""
        world, frames = self._place.world, traceback.extract_tb(error.__traceback__)
        own = inspect.getsourcefile(type(self._env.unwrapped))
        frame = next((frame for frame in reversed(frames) if frame.filename == own), frames[-1])
        return (
            f"{self._where(world.task, self._steps)}: {world.env} raised {type(error).__name__} in {call}: {error} "
            f"({frame.filename}:{frame.lineno}). Mend the environment, or give the world a `view` that keeps it from "
            "that."
        )

    def render(self) -> Any:
        """A frame of the world as it is now. Raises ResetNeeded before the first reset."""
        if self.observation is None:
            raise ResetNeeded("This lane has not begun: call reset() before render().")
        return self._env.render()

    def close(self) -> None:
        self._bodies.close()

    def state_dict(self) -> dict[str, Any]:
        """Plain data: how the running episode began, and what was done in it since."""
        begun = None if self._begun is None else self._begun.state()
        seen = None if self.observation is None else digest(self.observation)
        return {
            "worlds": self._worlds(),
            "seed": self._seed,
            "steps": self._steps,
            "begun": begun,
            "played": [plain(action) for action in self._played],
            "observation": seen,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Live the running episode once more, as it was.

        Warns where the environment does not do the same again, and goes on with a new episode there. Raises ValueError
        for the state of a lane that lives through other worlds.
        """
        if state["worlds"] != self._worlds():
            raise ValueError(
                f"The state is of a lane that lives through {state['worlds']}, this one through {self._worlds()}. Take "
                "up a stream with the settings with which it was begun."
            )
        self._seed = state["seed"]
        if state["begun"] is None:
            return
        begun = Begun(**state["begun"])
        self._bodies.generators = begun.generators
        self._draws.bit_generator.state = begun.draws
        self._steps = begun.steps
        self.reset(seed=begun.seed, options=begun.options)
        for action in state["played"]:
            if self._wake == _AT_ONCE:
                break
            self.step(action)
        if self._steps != state["steps"] or digest(self.observation) != state["observation"]:
            warnings.warn(
                f"{self._place.world.env} does not do the same again when its last episode is repeated (it has "
                "randomness of its own, or keeps something from one episode to the next). Going on with a new episode.",
                stacklevel=2,
            )
            self._steps = state["steps"]
            self.reset()

    def _worlds(self) -> list[list[Any]]:
        return [[change.at, change.task, change.way, change.over] for change in self._changes]

    def _enter(self) -> None:
        """Go to the world in which an episode that begins now takes place."""
        at = self._due()
        change, place = self._changes[at], self._places[at]
        if self._steps < change.at + change.over and self._draws.random() >= self._share(change):
            place = self._places[at - 1]
        self._go_to(at, place)

    def _change(self) -> None:
        """What cannot wait for the end of an episode."""
        if self.observation is None:
            raise ResetNeeded("This lane has not begun: call reset() before step().")
        if self._wake == _AT_ONCE:
            raise ResetNeeded("The episode is over: call reset() before the next step().")
        at = self._due()
        place = self._places[at]
        stays = self._changes[at].way != "now" or place.body != self._place.body
        self._go_to(at, self._place if stays else place)

    def _go_to(self, at: int, place: Place) -> None:
        """Be in a place under change number `at`, and know when to look again."""
        change, target = self._changes[at], self._places[at]
        before = self._places[at - 1] if at else target
        on_the_way = self._steps < change.at + change.over
        moves = before.body == target.body == place.body
        if not self._been or self._been[-1][1] != place.world.task:
            self._been.append((self._steps, place.world.task))
        self._place, self._env = place, self._bodies.env(place.body)
        self._act, self._observe = place.act, place.observe
        values = place.values
        if change.way == "gradual" and moves:
            # Also where an episode goes on with the actions and observations of the world before.
            values = target.values if not on_the_way else _between(before.values, target.values, self._share(change))
        self._bodies.set(place.body, values)
        self._bodies.keep({place.body, before.body, target.body} if on_the_way else {place.body})
        self._wake = self._cut = _NEVER
        if on_the_way and moves:
            self._wake = self._steps + 1
        elif at + 1 < len(self._changes):
            following, then = self._changes[at + 1], self._places[at + 1]
            if following.way == "reset":
                self._cut = following.at
            elif following.way in ("now", "gradual") and then.body == target.body == place.body:
                self._wake = following.at

    def _due(self) -> int:
        return bisect.bisect_right(self._starts, self._steps) - 1

    def _share(self, change: Change) -> float:
        """How far a change has come: it rises evenly from the first of its steps to the last."""
        return (self._steps - change.at + 1) / (change.over + 1)


def latest_world(lane: Lane) -> str:
    """In which world a lane took its latest step: for who serves it, and no attribute that a learner could read."""
    return lane._world_at(lane.steps)


def _between(before: tuple[float, ...], after: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(a + (b - a) * share for a, b in zip(before, after, strict=True))


def _draws(seed: int) -> np.random.Generator:
    """Which world an episode takes place in while one becomes another; not the numbers that the environment draws."""
    return np.random.default_rng([seed, 1])
