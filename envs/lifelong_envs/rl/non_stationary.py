"""Environments whose numbers drift within an episode, after NS-Gym, as worlds of a stream.

Source: https://github.com/scope-lab-vu/ns_gym. In a world: `env: lifelong_envs.rl.non_stationary:non_stationary`.
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.envs.mujoco import MujocoEnv


class StateAlone(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Shows what the environment shows, without what NS-Gym tells of changes and time."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        space: Any = env.observation_space
        self.observation_space = space["state"]

    def observation(self, observation: Any) -> Any:
        return observation["state"]


def non_stationary(env: str, drifts: dict[str, dict[str, Any]], render_mode: str | None = None) -> StateAlone:
    """A classic or MuJoCo environment in which numbers change in each episode from what they are at its begin.

    drifts: by the parameter's name how it changes and when, each a class of NS-Gym with its arguments, such as
    `{masspole: {update: {name: IncrementUpdate, k: 0.1}, schedule: {name: PeriodicScheduler, period: 10}}}`. Raises
    ValueError for names that NS-Gym does not have, ImportError without the package ns_gym.
    """
    from ns_gym import schedulers, update_functions
    from ns_gym.wrappers import MujocoWrapper, NSClassicControlWrapper

    changing = {}
    for parameter, drift in drifts.items():
        if set(drift) != {"update", "schedule"}:
            raise ValueError(f"drifts: {parameter!r} needs update and schedule, got {', '.join(drift) or 'nothing'}.")
        schedule = _made(schedulers, drift["schedule"], {})
        changing[parameter] = _made(update_functions, drift["update"], {"scheduler": schedule})
    made = gymnasium.make(env, render_mode=render_mode, disable_env_checker=True)
    wrapper = MujocoWrapper if isinstance(made.unwrapped, MujocoEnv) else NSClassicControlWrapper
    try:
        return StateAlone(wrapper(made, changing))
    except AssertionError as error:
        raise ValueError(f"NS-Gym cannot change {', '.join(changing)} in {env}: {error}") from error


def _made(library: Any, given: dict[str, Any], more: dict[str, Any]) -> Any:
    arguments = dict(given)
    name = arguments.pop("name", None)
    if not isinstance(name, str) or not hasattr(library, name):
        known = [word for word in dir(library) if word[0].isupper()]
        raise ValueError(f"NS-Gym's {library.__name__} has no {name!r}. It has: {', '.join(known)}.")
    return getattr(library, name)(**more, **arguments)
