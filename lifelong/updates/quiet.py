"""Tells work on parameters from use of them: what an optimizer or a handle does to a weight is no use of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


class _Depth:
    now = 0


@contextmanager
def quietly() -> Iterator[None]:
    """Inside, nothing that happens to a parameter is a use of it."""
    _Depth.now += 1
    try:
        yield
    finally:
        _Depth.now -= 1


def is_quiet() -> bool:
    return _Depth.now > 0


@contextmanager
def optimizers_are_quiet() -> Iterator[None]:
    """Inside, the steps of all optimizers are quiet."""

    def enter(*_: Any) -> None:
        _Depth.now += 1

    def leave(*_: Any) -> None:
        _Depth.now -= 1

    # Both are called around the hooks of a single optimizer: first before them, last after them.
    hooks = [register_optimizer_step_pre_hook(enter), register_optimizer_step_post_hook(leave)]
    depth = _Depth.now
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        # A step that failed has not left.
        _Depth.now = depth
