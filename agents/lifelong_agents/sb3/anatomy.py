"""Which part of a Stable-Baselines3 policy experts can share (the trunks), and what each needs for itself (the heads).

A head is the last linear layer before an answer: of an actor-critic policy the layers of actions and values, of every
actor and critic its last one; and numbers that no input passes, such as the spread of actions. Target networks have
heads, too. Everything else is trunk.
"""

from __future__ import annotations

from collections.abc import Iterator

from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import nn

NETWORKS = ("actor", "actor_target", "critic", "critic_target", "q_net", "q_net_target")


def head_names(policy: BasePolicy) -> set[str]:
    """Names of the head's parameters. Raises ValueError for a policy that is made in another way."""
    if isinstance(policy, ActorCriticPolicy):
        modules = {"action_net": policy.action_net, "value_net": policy.value_net}
        names = {f"{name}.{p}" for name, module in modules.items() for p, _ in module.named_parameters()}
    else:
        names = {name for network in NETWORKS for name in _last_layers(policy, network)}
    # What no layer multiplies an input by, such as log_std.
    owned = {f"{module}.{p}" if module else p for module, m in policy.named_modules() if _is_layer(m) for p in _own(m)}
    names |= {name for name, _ in policy.named_parameters() if name not in owned}
    if not names:
        raise ValueError(
            f"{type(policy).__name__} has none of the parts {', '.join(NETWORKS)} and is no ActorCriticPolicy: what "
            "of it experts could share is not known. Take separate experts (share: never)."
        )
    return names


def trunk_parts(policy: BasePolicy) -> Iterator[tuple[str, nn.Module]]:
    """Every layer of the trunks of networks that an optimizer moves, by name."""
    heads = head_names(policy)
    for name, module in policy.named_modules():
        own = [f"{name}.{p}" for p in _own(module)]
        if own and not heads.intersection(own) and "_target" not in name.split(".")[0]:
            yield name, module


def _last_layers(policy: BasePolicy, network: str) -> Iterator[str]:
    module = getattr(policy, network, None)
    if not isinstance(module, nn.Module):
        return
    for name, part in module.named_children():
        linear = [(f"{name}.{inner}".rstrip("."), m) for inner, m in part.named_modules() if isinstance(m, nn.Linear)]
        # Feature extractors and the layers between have no answer of their own.
        if linear and name not in ("features_extractor", "latent_pi"):
            last, layer = linear[-1]
            yield from (f"{network}.{last}.{p}" for p, _ in layer.named_parameters())


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, (nn.Linear, nn.modules.conv._ConvNd, nn.LayerNorm, nn.GroupNorm)) or bool(
        isinstance(module, nn.modules.batchnorm._BatchNorm)
    )


def _own(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters(recurse=False)]
