"""Stable-Baselines3's algorithms by name, with their own settings, for experts to be made of."""

from __future__ import annotations

import difflib
import importlib
import inspect
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFrequencyUnit

from lifelong.acting.policy import Policy
from lifelong.acting.saved import plain, unplain
from lifelong.interaction import Stage
from lifelong.subspace.method import Method
from lifelong_agents.sb3.policy import Sb3Policy
from lifelong_agents.sb3.schedules import run_by_own_clock
from lifelong_agents.sb3.shared import SharingPolicy, Trunk
from lifelong_agents.sb3.tap import Tap

LIBRARIES = ("stable_baselines3", "sb3_contrib")
OURS = ("policy", "env", "seed", "device", "tensorboard_log", "verbose", "_init_setup_model", "monitor_wrapper")
"""Arguments of algorithms that are not settings: they follow from the run."""


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
        self._make = _algorithm(algorithm)
        self._settings = _checked(self._make, settings or {})
        self._policy, self._horizon, self._seed, self._device = policy, horizon, seed, device
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
        network = self._policy or _network_for(stage.observation_space)
        # The first one leaves the random state where Stable-Baselines3 would; later ones must not disturb a run.
        with _random_state_kept(number > 0):
            try:
                model = self._make(network, tap, seed=self._seed, device=self._device, **self._settings)
                _check(model, stage)
            except (AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
                name = self._make.__name__
                raise ValueError(f"{name} cannot act in this world or with these settings: {error}") from error
        run_by_own_clock(model, self._horizon)
        return Sb3Policy(model, tap)

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


def _algorithm(name: str) -> type[BaseAlgorithm]:
    found = _named(name) if ":" in name else _by_name(name)
    if not _is_algorithm(found):
        raise ValueError(
            f"{name} is {found!r}: an expert's algorithm must be a subclass of Stable-Baselines3's OnPolicyAlgorithm "
            "or OffPolicyAlgorithm."
        )
    if _needs_more(found):
        raise ValueError(f"{found.__name__} needs more than an observation to act (a memory, or masks): not supported.")
    made: type[BaseAlgorithm] = found
    return made


def _by_name(name: str) -> Any:
    known: dict[str, Any] = {}
    more = ""
    for library in LIBRARIES:
        try:
            module = vars(importlib.import_module(library))
        except ImportError:
            more = f" ({library} has more, and is not installed: pip install {library.replace('_', '-')})"
            continue
        known = {key.lower(): value for key, value in module.items() if _is_algorithm(value)} | known
    if name.lower() in known:
        return known[name.lower()]
    names = sorted(key for key, value in known.items() if not _needs_more(value))
    close = difflib.get_close_matches(name.lower(), names, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"There is no algorithm {name!r}.{hint} Take one of {', '.join(names)}{more}, or name a class of your own as "
        "module:Class."
    )


def _is_algorithm(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, (OnPolicyAlgorithm, OffPolicyAlgorithm))


def _needs_more(found: type) -> bool:
    return "Recurrent" in found.__name__ or "Maskable" in found.__name__


def _named(name: str) -> Any:
    """What `module:name` names. Raises ValueError."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name} cannot be found: {error}.") from error


def _checked(make: type[BaseAlgorithm], settings: dict[str, Any]) -> dict[str, Any]:
    known = [name for name in inspect.signature(make.__init__).parameters if name not in ("self", *OURS)]
    for name in settings:
        if name in OURS:
            raise ValueError(f"settings of {make.__name__} cannot hold {name!r}: it follows from the run.")
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{make.__name__} takes no {name!r}.{hint} It takes: {', '.join(known)}.")
    return {name: _resolved(value) for name, value in settings.items()}


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


def _resolved(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(part) for key, part in value.items()}
    if isinstance(value, str) and ":" in value:
        return _named(value)
    # Pairs such as train_freq: [1, step] come as lists.
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str):
        return tuple(value)
    return value


def _network_for(space: Any) -> str:
    if type(space).__name__ == "Dict":
        return "MultiInputPolicy"
    shape = getattr(space, "shape", None) or ()
    is_picture = len(shape) == 3 and space.dtype == np.uint8 and min(shape[:2]) >= LEAST_PICTURE
    return "CnnPolicy" if is_picture else "MlpPolicy"


@contextmanager
def _random_state_kept(keep: bool) -> Iterator[None]:
    if not keep:
        yield
        return
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])
