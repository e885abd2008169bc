"""One environment that lives through a timetable of worlds."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete

from lifelong.finite import is_finite
from lifelong.interaction import LaneFault, WorldLost
from lifelong.mishaps import LaneFailed
from lifelong_envs.rl.bodies import Bodies, BodyFault
from lifelong_envs.rl.body import call_of
from lifelong_envs.rl.itinerary import Itinerary, Stay
from lifelong_envs.rl.moment import Begun, copied, digest, plain
from lifelong_envs.rl.places import Places
from lifelong_envs.rl.restarts import REMEDY, Restarts
from lifelong_envs.rl.timetable import Change

_AT_ONCE = -1
_KEPT = 64
"""Changes of world that are remembered, for messages."""


class Lane(gymnasium.Env[Any, Any]):
    """A gymnasium environment whose world changes at certain ones of its own steps, whoever steps it.

    Between changes a step costs a comparison. An episode's last info has `episode`: return r, length l, and seconds t
    since the lane was made. `observation` is the latest one, None before the first reset, so that an episode can be
    gone on with. The first reset of each environment uses `seed`, later ones go on from there. `number`: which of the
    lanes that are learned in it is (None: it is judged in).

    An environment fails where it raises, gives what its spaces do not allow or what is no finite number, or, in a
    process of its own, takes too long or dies. Its episode is cut then at the latest observation that it gave before,
    with a reward of 0 and `failed` in the info, and it is made anew for the next one, from a seed that follows from the
    lane's own and from how often that happened.

    Raises ValueError where a way of changing is not possible between two worlds; from `step` and `reset` WorldLost
    where a world fails more often than it may, and LaneFault at every failure of one that is judged in.
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
        self._itinerary = Itinerary(changes, [places.by_task[change.task] for change in changes])
        self._place = self._itinerary.places[0]
        self.metadata = dict(places.metadata[self._place.body])
        self._seed = seed
        self._np_random = self._draws = _draws(seed)
        # Actions are kept until the episode ends; an array may be one that its owner writes over.
        self._dtype = None if isinstance(self.action_space, Discrete) else self.action_space.dtype
        self._made = time.time()
        self._number = number
        self._restarts = None if number is None else Restarts(number)
        self._been: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        self._begun: Begun | None = None
        self._played: list[Any] = []
        self._return = 0.0
        self._steps = 0
        self._failed, self._given = False, None
        self._wake = self._cut = _AT_ONCE

    @property
    def steps(self) -> int:
        """How many steps it has lived."""
        return self._steps

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """As gymnasium wants it. Raises ResetNeeded before the first reset, and after an episode's end."""
        if self._steps >= self._wake:
            fault = self._change()
            if fault is not None:
                self._steps += 1
                return self._cut_short(fault)
        if self._dtype is not None:
            action = np.array(action, self._dtype)
        self._played.append(action)
        if self._act is not None:
            action = self._act(action)
        self._steps += 1
        try:
            observation, reward, terminated, truncated, info = self._take(action)
            wrong = self._sound(observation, reward, terminated, truncated, info)
            if wrong is None and self._observe is not None:
                observation = self._observe(observation)
        except (Exception, SystemExit) as error:
            self._played.pop()
            return self._cut_short(BodyFault(self._place.body, self._body.why(error, call_of("step", action)), error))
        if wrong is not None:
            self._played.pop()
            return self._cut_short(BodyFault(self._place.body, wrong))
        # What an environment writes into again and again is copied: it may spoil what was good.
        self.observation = copied(observation) if observation is self._given else observation
        self._given = observation
        self._return += reward
        if terminated or truncated or self._steps == self._cut:
            truncated = truncated or not terminated
            info = {**info, "episode": self._summed_up(len(self._played))}
            self._wake = _AT_ONCE
        return observation, reward, terminated, truncated, info

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in the world that is due. `seed` takes the place of the lane's own from then on."""
        if seed is not None:
            self._seed = seed
            self._np_random = self._draws = _draws(seed)
            self._bodies.reseed()
        return self._begin(options)

    def _begin(self, options: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, in environments made anew until one can. Only the attempt that succeeds is remembered."""
        draws = self._draws.bit_generator.state
        while True:
            try:
                self._begun = Begun(self._steps, options, draws, self._bodies.generators, dict(self._bodies.anew))
                self._go_to(self._itinerary.entered(self._steps, self._draws))
                begun = self._bodies.reset(self._place.body, self._seed, options)
                observation, info = self._first(begun)
                break
            except BodyFault as fault:
                self._wake = _AT_ONCE
                self._give_up(fault)
            # Another attempt is no other draw.
            self._draws.bit_generator.state = draws
        self.observation, self._given, self._failed = copied(observation), observation, False
        self._played.clear()
        self._return = 0.0
        return observation, info

    def _first(self, begun: Any) -> tuple[Any, dict[str, Any]]:
        """What is shown of an episode's begin. Raises BodyFault where that is wrong."""
        body = self._place.body
        try:
            observation, info = begun
            wrong = self._place.first(observation)
            if wrong is None and self._observe is not None:
                observation = self._observe(observation)
        except (Exception, SystemExit) as error:
            raise BodyFault(body, self._body.why(error, call_of("reset")), error) from error
        if wrong is not None:
            raise BodyFault(body, f"at an episode's begin {wrong}")
        return observation, info

    def _cut_short(self, fault: BodyFault) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """An environment failed in a step: the episode is over, at the latest observation that can be trusted."""
        self._wake, self._failed = _AT_ONCE, True
        self._give_up(fault)
        if not is_finite(self.observation):
            self.observation = copied(self.observation, np.nan_to_num)
        info = {"failed": fault.why, "episode": self._summed_up(len(self._played) + 1)}
        return self.observation, 0.0, False, True, info

    def _give_up(self, fault: BodyFault) -> None:
        """Make an end of an environment that failed. Raises WorldLost, or LaneFault where nobody learns from it."""
        self._bodies.drop(fault.body)
        world = self._place.world
        where = self._where(world.task, self._steps)
        if self._restarts is None:
            raise LaneFault(f"{where}: {fault.why}. {REMEDY}.", fault.why) from fault.error
        try:
            self._restarts.add(world, self._steps, fault.why, where)
        except WorldLost as lost:
            raise lost from fault.error

    def _summed_up(self, length: int) -> dict[str, Any]:
        return {"r": round(float(self._return), 6), "l": length, "t": round(time.time() - self._made, 6)}

    def told(self) -> list[LaneFailed]:
        """Failures since it was last asked: for the record."""
        return [] if self._restarts is None else self._restarts.told()

    def whereabouts(self, ago: int = 0) -> str:
        """Where it was so many steps ago, for messages: the world, the lane, and the lane's step (1 is the first)."""
        step = self._steps - ago
        return self._where(self._world_at(step), step)

    def _world_at(self, step: int) -> str:
        worlds = [task for since, task in self._been if since < step] or [self._place.world.task]
        return worlds[-1]

    def _where(self, task: str, step: int) -> str:
        if self._number is None:
            return f"world {task!r}, judging, step {step - (self._begun.steps if self._begun else 0):,}"
        return f"world {task!r}, lane {self._number}, step {step:,}"

    def render(self) -> Any:
        """A frame of the world as it is now. Raises ResetNeeded before the first reset."""
        if self.observation is None:
            raise ResetNeeded("This lane has not begun: call reset() before render().")
        return self._body.render()

    def close(self) -> None:
        self._bodies.close()

    def state_dict(self) -> dict[str, Any]:
        """Plain data: how the running episode began, and what was done in it since."""
        begun = None if self._begun is None else self._begun.state()
        seen = None if self.observation is None else digest(self.observation)
        return {
            "worlds": self._itinerary.written(),
            "seed": self._seed,
            "steps": self._steps,
            "failed": self._failed,
            "restarts": None if self._restarts is None else self._restarts.state_dict(),
            "begun": begun,
            "played": [plain(action) for action in self._played],
            "observation": seen,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Live the running episode once more, as it was.

        Warns where the environment does not do the same again, and goes on with a new episode there. Raises ValueError
        for the state of a lane that lives through other worlds.
        """
        own = self._itinerary.written()
        if state["worlds"] != own:
            raise ValueError(
                f"The state is of a lane that lives through {state['worlds']}, this one through {own}. Take up a "
                "stream with the settings with which it was begun."
            )
        self._seed = state["seed"]
        if self._restarts is not None and state["restarts"] is not None:
            self._restarts.load_state_dict(state["restarts"])
        if state["begun"] is None:
            return
        begun = Begun(**state["begun"])
        self._bodies.take_up(begun.generators, begun.anew)
        self._draws.bit_generator.state = begun.draws
        self._steps = begun.steps
        self._begin(begun.options)
        for action in state["played"]:
            if self._wake == _AT_ONCE:
                break
            self.step(action)
        if state["failed"] and not self._failed and self._wake != _AT_ONCE:
            # The step that failed is not tried again.
            self._bodies.drop(self._place.body)
            self._wake, self._failed = _AT_ONCE, True
            self._steps += 1
        if self._steps != state["steps"] or digest(self.observation) != state["observation"]:
            warnings.warn(
                f"{self._place.world.env} does not do the same again when its last episode is repeated (it has "
                "randomness of its own, or keeps something from one episode to the next). Going on with a new episode.",
                stacklevel=2,
            )
            self._steps = state["steps"]
            self.reset()

    def _change(self) -> BodyFault | None:
        """What cannot wait for the end of an episode. Returns how an environment failed at that."""
        if self.observation is None:
            raise ResetNeeded("This lane has not begun: call reset() before step().")
        if self._wake == _AT_ONCE:
            raise ResetNeeded("The episode is over: call reset() before the next step().")
        try:
            self._go_to(self._itinerary.gone_on(self._steps, self._place))
        except BodyFault as fault:
            return fault
        return None

    def _go_to(self, stay: Stay) -> None:
        place = stay.place
        if not self._been or self._been[-1][1] != place.world.task:
            self._been.append((self._steps, place.world.task))
        self._place, self._act, self._observe, self._sound = place, place.act, place.observe, place.sound
        self._body = self._bodies.body(place.body)
        self._take = self._body.step
        self._bodies.set(place.body, stay.values)
        self._bodies.keep(stay.bodies)
        self._wake, self._cut = stay.wake, stay.cut


def latest_world(lane: Lane) -> str:
    """In which world a lane took its latest step: for who serves it, and no attribute that a learner could read."""
    return lane._world_at(lane.steps)


def _draws(seed: int) -> np.random.Generator:
    """Which world an episode takes place in while one becomes another; not the numbers that the environment draws."""
    return np.random.default_rng([seed, 1])
