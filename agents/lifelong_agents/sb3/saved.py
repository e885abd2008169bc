"""A model's state as tensors and plain data, so that a run goes on exactly as if it had never been stopped.

Stable-Baselines3 saves models by pickling them, and what is unpickled runs code. So what a model holds is named here;
the few attributes with a leading underscore are those that its own `save` writes, too.
"""

from __future__ import annotations

from collections import deque
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from lifelong.interaction import Array
from lifelong_agents.sb3.live import tuned
from lifelong_agents.sb3.memory import arrays

COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "exploration_rate")


def counters(model: BaseAlgorithm) -> dict[str, Any]:
    """How far the model has come."""
    return {name: getattr(model, name) for name in COUNTERS if hasattr(model, name)}


def state_of(model: BaseAlgorithm) -> dict[str, Any]:
    state: dict[str, Any] = {
        "parameters": model.get_parameters(),
        "tuned": {name: value.detach().clone() for name, value in tuned(model).items()},
        "counters": counters(model),
        "episodes": _episodes(model.ep_info_buffer),
        "successes": [bool(each) for each in model.ep_success_buffer or ()],
        "standing": _tensors(model._last_obs),
        "starts": _tensors(model._last_episode_starts),
        "actions_drawn": _plain(dict(model.action_space.np_random.bit_generator.state)),
        "buffer": None,
    }
    if isinstance(model, OffPolicyAlgorithm) and model.replay_buffer is not None:
        state["buffer"] = buffer_state(model.replay_buffer)
    return state


def put_into(model: BaseAlgorithm, state: dict[str, Any]) -> None:
    # Optimizers take moments as they are given, and move them.
    model.set_parameters(deepcopy(state["parameters"]), exact_match=True)
    with torch.no_grad():
        for name, value in tuned(model).items():
            value.copy_(state["tuned"][name])
    for name, value in state["counters"].items():
        setattr(model, name, value)
    window = getattr(model, "_stats_window_size", 100)
    model.ep_info_buffer = None if state["episodes"] is None else deque(state["episodes"], maxlen=window)
    model.ep_success_buffer = deque(state["successes"], maxlen=window)
    model._last_obs, model._last_episode_starts = _arrays(state["standing"]), _arrays(state["starts"])
    model.action_space.np_random.bit_generator.state = state["actions_drawn"]
    if isinstance(model, OffPolicyAlgorithm) and model.replay_buffer is not None and state["buffer"] is not None:
        fill(model.replay_buffer, state["buffer"])


def buffer_state(buffer: ReplayBuffer) -> dict[str, Any]:
    """What a buffer holds, and where it stands."""
    end = buffer.buffer_size if buffer.full else buffer.pos
    rows = {name: torch.from_numpy(values[:end].copy()) for name, values in arrays(buffer).items()}
    return {"pos": buffer.pos, "full": buffer.full, "rows": rows}


def fill(buffer: ReplayBuffer, state: dict[str, Any]) -> None:
    """Make a buffer hold what `buffer_state` found in another."""
    buffer.pos, buffer.full = state["pos"], state["full"]
    for name, values in arrays(buffer).items():
        values[: len(state["rows"][name])] = state["rows"][name].cpu().numpy()


def _episodes(infos: Any) -> list[dict[str, float]] | None:
    """Returns and lengths; the time that they took is of no use to anybody who goes on later."""
    if infos is None:
        return None
    return [{"r": float(info["r"]), "l": float(info["l"])} for info in infos]


def _tensors(value: Any) -> Any:
    if value is None or isinstance(value, dict):
        return None if value is None else {key: _tensors(part) for key, part in value.items()}
    return torch.from_numpy(np.array(value))


def _arrays(value: Any) -> Any:
    if value is None or isinstance(value, dict):
        return None if value is None else {key: _arrays(part) for key, part in value.items()}
    rows: Array = value.cpu().numpy()
    return rows


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) if isinstance(value, dict) else value for key, value in state.items()}
