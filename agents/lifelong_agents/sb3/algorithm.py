"""Stable-Baselines3's algorithms by name, with their own settings, for experts to be made of."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Literal

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFrequencyUnit

from lifelong.acting.policy import Policy
from lifelong.acting.randomness import random_state_kept
from lifelong.acting.saved import plain, unplain
from lifelong.interaction import Stage
from lifelong.subspace.method import Method
from lifelong_agents.sb3.failures import told
from lifelong_agents.sb3.names import algorithm as algorithm_of
from lifelong_agents.sb3.names import checked, network, serving, takes
from lifelong_agents.sb3.policy import Sb3Policy
from lifelong_agents.sb3.schedules import run_by_own_clock
from lifelong_agents.sb3.shared import SharingPolicy, Trunk
from lifelong_agents.sb3.tap import Tap

LEAST_PICTURE = 36
"""Pixels of the smallest picture that Stable-Baselines3's convolutional network can take."""


Share = Literal["never", "trunk"]


class Sb3:
    """Makes models of one algorithm, all alike, that act in the same lanes in turn.

    algorithm: ppo, a2c, dqn, sac, td3, ddpg; with sb3-contrib installed tqc, trpo, qrdqn, crossq; or `module:Class`, a
    subclass of Stable-Baselines3's on- or off-policy algorithms. settings: the algorithm's own arguments; a text
    `module:name` in them stands for what it names, such as `torch.nn:ReLU`. policy: the kind of network (None:
    MlpPolicy for rows of numbers, CnnPolicy for pictures, MultiInputPolicy for Dict spaces). horizon: environment steps
    of an expert over which schedules run that depend on progress. The first model is seeded as Stable-Baselines3 would,
    the later ones begin from the same weights. share: "trunk" gives all experts one model with heads of their own,
    whose trunk `subspace` protects (None: nothing does). Raises ValueError for what the algorithm does not take.
    """

    def __init__(
        self,
        algorithm: str,
        settings: dict[str, Any] | None = None,
        policy: str | None = None,
        horizon: int = 100_000,
        seed: int = 0,
        device: str = "cpu",
        share: Share = "never",
        subspace: Method | None = None,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon counts environment steps: give 1 or more, got {horizon}.")
        self._make = algorithm_of(algorithm)
        self._settings = checked(self._make, settings or {})
        self._given = settings or {}
        self._policy, self._horizon, self._seed, self._device = network(self._make, policy), horizon, seed, device
        self._share, self._subspace = share, subspace
        self._taps: list[Tap] = []
        self._trunks: dict[Tap, Trunk] = {}

    def spawn(self, number: int, stage: Stage) -> Policy:
        tap = self._tap_for(stage)
        if self._share == "never":
            return self._model(number, stage, tap)
        if tap not in self._trunks:
            self._trunks[tap] = Trunk(self._model(number, stage, tap), self._subspace, number)
        return SharingPolicy(self._trunks[tap], number)

    def _model(self, number: int, stage: Stage, tap: Tap) -> Sb3Policy:
        kind = self._policy or _network_for(stage.observation_space)
        # The first one leaves the random state where Stable-Baselines3 would; later ones must not disturb a run.
        with random_state_kept() if number > 0 else nullcontext():
            try:
                model = self._make(kind, tap, seed=self._seed, device=self._device, **self._settings)
                _check(model, stage)
            except Exception as error:
                raise ValueError(self._refusal(stage, tap, kind, error)) from error
        run_by_own_clock(model, self._horizon)
        return Sb3Policy(model, tap, self._given)

    def _refusal(self, stage: Stage, tap: Tap, kind: str, error: Exception) -> str:
        """Why there can be no model, and who could act instead."""
        name = self._make.__name__
        with random_state_kept():
            instead = [] if takes(self._make, kind, tap) else serving(kind, tap)
        if not instead:
            said = f"{name} cannot act in this world or with these settings: {error}"
            return f"{said.rstrip('.')}. {told(self._given)}" if self._given else said
        return (
            f"{name} cannot act in this world or with these settings: it does not take actions that are "
            f"{stage.action_space}. Algorithms that do: {', '.join(instead)}."
        )

    def _tap_for(self, stage: Stage) -> Tap:
        """The same for all that act in the same lanes."""
        asked = stage.lanes, stage.observation_space, stage.action_space
        for tap in self._taps:
            if (tap.num_envs, tap.observation_space, tap.action_space) == asked:
                return tap
        self._taps.append(Tap(*asked))
        return self._taps[-1]

    def state_dict(self) -> dict[str, Any]:
        pending = [tap.pending for tap in self._taps]
        return {"pending": [None if rows is None else plain(rows) for rows in pending]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for tap, rows in zip(self._taps, state["pending"], strict=True):
            tap.remember(None if rows is None else unplain(rows))


def _check(model: Any, stage: Stage) -> None:
    """What Stable-Baselines3 would find out much later, or never. Raises ValueError."""
    for space in (stage.observation_space, stage.action_space):
        if any(np.any(getattr(part, "start", 0)) for part in getattr(space, "spaces", {"": space}).values()):
            raise ValueError(f"it counts choices from 0, got {space}. Wrap the environment so that they start there.")
    if isinstance(model, OnPolicyAlgorithm) and model.n_steps < 1:
        raise ValueError(f"n_steps must be 1 or more, got {model.n_steps}.")
    if isinstance(model, OffPolicyAlgorithm):
        count, unit = model.train_freq  # type: ignore[misc]
        if count < 1:
            raise ValueError(f"train_freq must be 1 or more, got {count}.")
        if unit == TrainFrequencyUnit.EPISODE and stage.lanes > 1:
            raise ValueError(f"train_freq can count episodes in a single lane only, there are {stage.lanes}.")


def _network_for(space: Any) -> str:
    if type(space).__name__ == "Dict":
        return "MultiInputPolicy"
    shape = getattr(space, "shape", None) or ()
    is_picture = len(shape) == 3 and space.dtype == np.uint8 and min(shape[:2]) >= LEAST_PICTURE
    return "CnnPolicy" if is_picture else "MlpPolicy"
