"""Transitions as tensors and back, for checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lifelong.interaction import Observations, Transitions


def plain(transitions: Transitions) -> dict[str, Any]:
    """Transitions as tensors, for a checkpoint."""

    def tensors(x: Observations) -> Any:
        return {k: torch.from_numpy(v) for k, v in x.items()} if isinstance(x, dict) else torch.from_numpy(x)

    return {name: tensors(getattr(transitions, name)) for name in Transitions.__slots__}


def unplain(state: dict[str, Any]) -> Transitions:
    def arrays(x: Any) -> Any:
        return {k: v.numpy() for k, v in x.items()} if isinstance(x, dict) else np.asarray(x.numpy())

    return Transitions(**{name: arrays(state[name]) for name in Transitions.__slots__})
