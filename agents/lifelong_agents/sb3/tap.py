"""A VecEnv over lanes that many models act in, in turn: it sees every step, and shows blocks of them to a watcher.

N lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from lifelong.interaction import Array, Observations, Transitions

if TYPE_CHECKING:
    from lifelong.interaction import Lane

Indices = int | Iterable[int] | None


class Tap(VecEnv):
    """Lanes that go on when another model takes over: `reset` gives where they stand, once they have begun.

    left: steps of all lanes that may still be taken. stopped: the watcher said stop.
    """

    def __init__(self, lanes: int, observation_space: Any, action_space: Any) -> None:
        # Before all else: the base class asks for attributes.
        self._inner: DummyVecEnv | None = None
        super().__init__(lanes, observation_space, action_space)
        self._lanes: tuple[Lane, ...] = ()
        self._seed: int | None = None
        self._last: Any = None
        self._rows: list[tuple[Any, Array, Array, Any, Array, Array]] = []
        self._watch: Callable[[Transitions], bool] = _nobody
        self._look = 1
        self.left, self.stopped = 0, False

    def open(self, lanes: Sequence[Lane], steps: int, look: int, watch: Callable[[Transitions], bool]) -> None:
        """Let `steps` steps of each lane be taken; every `look` steps of each, `watch` is shown what they did."""
        if self._lanes != tuple(lanes):
            if self._lanes:
                self._rows = []
            self._lanes = tuple(lanes)
            self._inner = DummyVecEnv([lambda lane=lane: lane for lane in lanes])  # type: ignore[misc]
            if self._seed is not None:
                self._inner.seed(self._seed)
            self._last = _standing(lanes)
        self.left, self._look, self._watch, self.stopped = steps, look, watch, False

    @property
    def has_begun(self) -> bool:
        """Whether it is known where the lanes stand."""
        return self._last is not None

    @property
    def _env(self) -> DummyVecEnv:
        if self._inner is None:
            raise RuntimeError("Nobody has opened lanes to act in yet.")
        return self._inner

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        # Seeds count for lanes that have not begun: a model that is made later must not disturb them.
        if self._inner is None:
            self._seed = seed
        return [None if seed is None else seed + i for i in range(self.num_envs)]

    def reset(self) -> Any:
        if self._last is None:
            self._last = self._env.reset()
        return _own(self._last)

    def step_async(self, actions: Array) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[Any, Array, Array, list[dict[str, Any]]]:
        return self.step(self._actions)

    def step(self, actions: Array) -> tuple[Any, Array, Array, list[dict[str, Any]]]:
        inner = self._inner
        if inner is None or self.left < 1:
            raise RuntimeError("All steps of this interaction are taken.")
        inner.step_async(actions)
        observations, rewards, dones, infos = result = inner.step_wait()
        self.left -= 1
        if True in dones:
            after, cut = _ends(observations, dones, infos)
            # Rewards are copied: on-policy algorithms add to them in place where an episode was cut.
            self._rows.append((self._last, actions, rewards.copy(), after, dones & ~cut, cut))
        else:
            self._rows.append((self._last, actions, rewards, _own(observations), dones, dones))
        self._last = _own(observations)
        if len(self._rows) >= self._look:
            block, self._rows = _joined(self._rows), []
            self.stopped = self._watch(block)
        return result

    def close(self) -> None:
        """Lanes belong to whoever gave them."""

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        if self._inner is None:
            return [None] * self.num_envs
        return self._inner.get_attr(attr_name, indices)

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        self._env.set_attr(attr_name, value, indices)

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        return self._env.env_method(method_name, *args, indices=indices, **kwargs)

    def env_is_wrapped(self, wrapper_class: Any, indices: Indices = None) -> list[bool]:
        if self._inner is None:
            return [False] * self.num_envs
        return self._inner.env_is_wrapped(wrapper_class, indices)

    @property
    def pending(self) -> Transitions | None:
        """What was seen and not shown yet."""
        return _joined(self._rows) if self._rows else None

    def remember(self, pending: Transitions | None) -> None:
        """Go on where another process was: what it had seen and not shown."""
        self._rows = [] if pending is None else _parted(pending, self.num_envs)


def _nobody(_: Transitions) -> bool:
    return False


def _own(observations: Any) -> Any:
    """The same; a dict of one's own, since replay buffers write into those that they are given."""
    return dict(observations) if isinstance(observations, dict) else observations


def _standing(lanes: Sequence[Lane]) -> Any:
    """Where lanes stand that say so (an attribute `observation`); None where they have to be begun."""
    standing: list[Any] = [getattr(lane, "observation", None) for lane in lanes]
    if any(o is None for o in standing):
        return None
    if isinstance(standing[0], dict):
        return {key: np.stack([o[key] for o in standing]) for key in standing[0]}
    return np.stack(standing)


def _ends(observations: Any, dones: Array, infos: list[dict[str, Any]]) -> tuple[Any, Array]:
    """Observations with those that ended episodes in place of those that began new ones, and who was cut short."""
    many = isinstance(observations, dict)
    after = {key: value.copy() for key, value in observations.items()} if many else observations.copy()
    cut = np.zeros(len(dones), dtype=bool)
    for k in np.flatnonzero(dones).tolist():
        last = infos[k]["terminal_observation"]
        if many:
            for key in after:
                after[key][k] = last[key]
        else:
            after[k] = last
        cut[k] = infos[k].get("TimeLimit.truncated", False)
    return after, cut


def _joined(rows: list[tuple[Any, Array, Array, Any, Array, Array]]) -> Transitions:
    observations, actions, rewards, after, ended, cut = zip(*rows, strict=True)
    return Transitions(
        _end_to_end(observations),
        np.concatenate(actions),
        np.concatenate(rewards),
        _end_to_end(after),
        np.concatenate(ended),
        np.concatenate(cut),
    )


def _end_to_end(parts: Sequence[Any]) -> Observations:
    if isinstance(parts[0], dict):
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    joined: Array = np.concatenate(parts)
    return joined


def _parted(t: Transitions, lanes: int) -> list[tuple[Any, Array, Array, Any, Array, Array]]:
    steps = [t.rows(slice(k, k + lanes)) for k in range(0, len(t), lanes)]
    return [(s.observations, s.actions, s.rewards, s.next_observations, s.terminated, s.truncated) for s in steps]
