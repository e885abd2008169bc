"""What models think that observations are worth, through their policies' own networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from lifelong.acting.encoding import Rows
from lifelong.interaction import Observations, Transitions


@torch.no_grad()
def temporal_differences(model: BaseAlgorithm, transitions: Transitions) -> Rows | None:
    """(B,) |r + gamma v(s') - v(s)| (Sutton & Barto 2018, eq. 6.5); None where the model values nothing."""
    now, after = _values(model, transitions.observations), _values(model, transitions.next_observations)
    if now is None or after is None:
        return None
    worth = np.where(transitions.terminated, 0.0, after)
    gamma = float(getattr(model, "gamma", 0.99))
    return np.abs(transitions.rewards + gamma * worth - now).astype(np.float64)


@torch.no_grad()
def answered(model: BaseAlgorithm, transitions: Transitions) -> None:
    """Let every network of the policy answer for these, as it would in training: whoever watches sees what passes."""
    policy: Any = model.policy
    policy.set_training_mode(False)
    tensors, _ = policy.obs_to_tensor(transitions.observations)
    if isinstance(model, OnPolicyAlgorithm):
        policy.get_distribution(tensors)
        policy.predict_values(tensors)
    elif hasattr(policy, "q_net"):
        policy.q_net(tensors)
    else:
        actions = torch.as_tensor(policy.scale_action(transitions.actions), device=model.device)
        policy.actor(tensors, deterministic=True) if hasattr(policy.actor, "log_std") else policy.actor(tensors)
        policy.critic(tensors, actions)


def _values(model: BaseAlgorithm, observations: Observations) -> Rows | None:
    """(B,) state values, or the best action values."""
    policy: Any = model.policy
    tensors, _ = policy.obs_to_tensor(observations)
    if isinstance(model, OnPolicyAlgorithm):
        return _flat(policy.predict_values(tensors))
    if hasattr(policy, "q_net"):
        return _flat(policy.q_net(tensors).max(dim=1).values)
    if hasattr(policy, "critic") and hasattr(policy, "actor"):
        critics = policy.critic(tensors, policy.actor(tensors))
        return _flat(torch.cat([c.reshape(len(c), -1).mean(1, keepdim=True) for c in critics], dim=1).min(dim=1).values)
    return None


def _flat(values: torch.Tensor) -> Rows:
    return values.reshape(-1).cpu().numpy().astype(np.float64)
