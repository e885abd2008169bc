"""A Stable-Baselines3 model as the policy of an expert."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq
from stable_baselines3.common.vec_env import VecTransposeImage

from lifelong.acting.encoding import Rows
from lifelong.acting.policy import Policy
from lifelong.finite import not_finite
from lifelong.interaction import Array, Observations, Transitions
from lifelong_agents.sb3.failures import failed, is_its_own
from lifelong_agents.sb3.live import Live
from lifelong_agents.sb3.memory import add, arrays, give_back, place
from lifelong_agents.sb3.saved import counters, put_into, state_of
from lifelong_agents.sb3.sayings import Sayings
from lifelong_agents.sb3.tap import Tap
from lifelong_agents.sb3.values import temporal_differences

if TYPE_CHECKING:
    from lifelong.interaction import Lane


class Sb3Policy:
    """Drives one model through `learn`, in the lanes that all models share through a `Tap`.

    settings: those that the model was made with, for messages.
    """

    def __init__(self, model: BaseAlgorithm, tap: Tap, settings: Mapping[str, Any] | None = None) -> None:
        self.model, self._tap, self._settings = model, tap, settings or {}
        self._sayings = Sayings()
        model.set_logger(self._sayings.logger)
        self._stop = _Stop(tap)
        self._live = Live(model)

    @property
    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        return self._live.optimizers

    def enter(self) -> None:
        # Makes the model ask for observations anew instead of going on from where it was itself.
        self.model.set_env(self._tap, force_reset=True)

    def live(self, lanes: Sequence[Lane], steps: int, look: int, watch: Callable[[Transitions], bool]) -> int:
        count, tap, model = len(lanes), self._tap, self.model
        granted = steps // count
        if count != tap.num_envs:
            raise ValueError(
                f"This policy was made for {tap.num_envs} lanes and cannot act in another number of them, got {count}. "
                "Give worlds of the same spaces the same number of lanes."
            )
        tap.open(lanes, granted, max(1, -(-look // count)), watch)
        if not tap.has_begun:
            model._last_obs = None
        try:
            while tap.left and not tap.stopped:
                if isinstance(model, OnPolicyAlgorithm):
                    self._roll_out(model, tap.left)
                else:
                    self._collect(model, tap.left)
        except Exception as error:
            # A network that is shown what is no number fails at once, before the watcher sees it.
            said = None if tap.pending is None else not_finite(tap.pending, lanes)
            if said is None:
                raise
            raise ValueError(said) from error
        if self._stop.was_made:
            # It did not take in the last step, so it must ask where the lanes stand.
            model._last_obs = None
        return (granted - tap.left) * count

    def _roll_out(self, model: OnPolicyAlgorithm, left: int) -> None:
        """As many whole rollouts as there is room for; a shorter one where there is room for none.

        Nothing can be learned from one transition alone (advantages have no spread): the last whole rollout takes it
        in, and where there is none, it is lived and not learned from.
        """
        length, (whole, rest) = model.n_steps, divmod(left, model.n_steps)
        alone = rest * self._tap.num_envs == 1
        if whole > alone:
            self._learn((whole - alone) * length)
            return
        self._stop.untaught = left == 1 and alone
        try:
            model.n_steps = model.rollout_buffer.buffer_size = left
            model.rollout_buffer.reset()
            self._learn(left)
        finally:
            self._stop.untaught = False
            model.n_steps = model.rollout_buffer.buffer_size = length
            model.rollout_buffer.reset()

    def _collect(self, model: Any, left: int) -> None:
        """Collections of the algorithm's own length, the last one as long as there is room."""
        own = model.train_freq
        try:
            model.train_freq = _AtMost(*own)
            model.train_freq.tap = self._tap
            self._learn(left)
        finally:
            model.train_freq = own

    def _learn(self, steps: int) -> None:
        try:
            self.model.learn(steps * self._tap.num_envs, callback=self._stop, reset_num_timesteps=False)
        except Exception as error:
            if isinstance(error, ValueError) or not is_its_own(error):
                raise
            raise ValueError(failed(type(self.model).__name__, self._settings, error)) from error

    def act(self, observations: Observations) -> Array:
        return self.model.predict(observations, deterministic=True)[0]

    @property
    def _buffer(self) -> Any:
        return self.model.replay_buffer if isinstance(self.model, OffPolicyAlgorithm) else None

    def keep(self) -> dict[str, Any]:
        return {
            "tensors": self._live.kept(),
            "counters": counters(self.model),
            "buffer": None if self._buffer is None else place(self._buffer),
        }

    def put_back(self, kept: dict[str, Any]) -> None:
        self._live.put_back(kept["tensors"])
        steps = (self.model.num_timesteps - kept["counters"]["num_timesteps"]) // self._tap.num_envs
        for name, value in kept["counters"].items():
            setattr(self.model, name, value)
        if kept["buffer"] is not None:
            # The last step was not added where it was stopped with it.
            give_back(self._buffer, kept["buffer"], steps - 1)

    def inherit(self, parent: Policy) -> None:
        assert isinstance(parent, Sb3Policy)
        self._live.begin_as(parent._live)

    def adopt(self, transitions: Transitions, lanes: int) -> None:
        if self._buffer is not None:
            continuous = type(self.model.action_space).__name__ == "Box"
            env = self.model.get_env()
            if isinstance(env, VecTransposeImage):
                # The buffer holds pictures as the network sees them.
                transitions = replace(
                    transitions,
                    observations=env.transpose_observations(transitions.observations),
                    next_observations=env.transpose_observations(transitions.next_observations),
                )
            add(self._buffer, transitions, lanes, self.model.policy.scale_action if continuous else _same)

    def temporal_differences(self, transitions: Transitions) -> Rows | None:
        return temporal_differences(self.model, transitions)

    def logged(self) -> dict[str, float]:
        return self._sayings.taken()

    def parameters(self) -> int:
        # Target networks have no optimizer.
        moved = {id(p): p for o in self.optimizers for group in o.param_groups for p in group["params"]}
        return sum(p.numel() for p in moved.values())

    def bytes(self) -> int:
        held: int = sum(t.numel() * t.element_size() for t in self.model.policy.state_dict().values())
        if self._buffer is not None:
            held += sum(rows.nbytes for rows in arrays(self._buffer).values())
        return held

    def state_dict(self) -> dict[str, Any]:
        return {**state_of(self.model), "said": self._sayings.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        put_into(self.model, state)
        self._sayings.load_state_dict(state["said"])
        self._live.forget()


class _AtMost(TrainFreq):
    """So many steps or episodes make a collection, or as many as the tap lets through."""

    tap: Tap

    @property
    def frequency(self) -> int:
        return self[0] if self.tap.left else 0


class _Stop(BaseCallback):
    """Ends a chunk where the world has changed, or where there is too little to learn from (`untaught`)."""

    def __init__(self, tap: Tap) -> None:
        super().__init__()
        self._tap, self.untaught, self.was_made = tap, False, False

    def _on_step(self) -> bool:
        self.was_made = self._tap.stopped or self.untaught
        return not self.was_made


def _same(actions: Array) -> Array:
    return np.asarray(actions)
