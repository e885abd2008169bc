"""A network recipe as one plain torch module, for who serves a single kind of question."""

from __future__ import annotations

import torch
from torch import nn

from lifelong.network import Network


def whole(
    network: Network, input_shape: tuple[int, ...], outputs: int, seed: int, device: torch.device | str = "cpu"
) -> nn.Sequential:
    """(B, *input_shape) -> (B, outputs): encoder, trunk and head of a recipe, with first weights that `seed` decides.

    Leaves torch's random state as it was.
    """
    place = torch.device(device)
    with torch.random.fork_rng([place] if place.type == "cuda" else []):
        torch.manual_seed(seed)
        return nn.Sequential(network.encoder(input_shape), network.trunk(), network.head(outputs)).to(place)
