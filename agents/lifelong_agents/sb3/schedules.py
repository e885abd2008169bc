"""Schedules that depend on progress, run by an expert's own steps: a lifelong stream has no end to count down to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

SCHEDULES = ("lr_schedule", "clip_range", "clip_range_vf", "exploration_schedule")


def run_by_own_clock(model: BaseAlgorithm, horizon: int) -> None:
    """Make every schedule of the model go from 1 to 0 over its first `horizon` steps, and stay there.

    Stable-Baselines3 counts progress within one call of `learn`, of which there are many here.
    """
    for name in SCHEDULES:
        schedule = getattr(model, name, None)
        if callable(schedule):
            setattr(model, name, _by_own_clock(schedule, model, horizon))


def _by_own_clock(schedule: Callable[[float], float], model: Any, horizon: int) -> Callable[[float], float]:
    def now(_: float) -> float:
        return schedule(max(0.0, 1.0 - model.num_timesteps / horizon))

    return now
