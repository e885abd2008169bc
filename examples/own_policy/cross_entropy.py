"""Reinforcement learning of one's own, without any library of it: the cross-entropy method on linear policies.

N lanes, A actions, D observed numbers. A policy is a matrix of weights (A, D + 1), and takes the action that scores
best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.acting.saved import plain, unplain
from lifelong.interaction import Array, Stage, Transitions

Weights = NDArray[np.float64]


@dataclass(slots=True)
class CrossEntropy:
    """Makes policies that try `population` weights, an episode each, and draw the next ones like the best of them."""

    population: int = 20
    best: int = 4
    seed: int = 0
    unshown: list[Transitions] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if not 2 <= self.best < self.population:
            raise ValueError(f"best must be from 2 to below population ({self.population}), got {self.best}.")

    def spawn(self, number: int, stage: Stage) -> Linear:
        seen, choices = stage.observation_space, stage.action_space
        if not isinstance(choices, gymnasium.spaces.Discrete) or len(seen.shape or ()) != 1:
            raise ValueError(f"The cross-entropy method needs a vector and a choice here, got {seen} and {choices}.")
        return Linear(self, np.zeros((int(choices.n), seen.shape[0] + 1)), np.random.default_rng(self.seed))

    def state_dict(self) -> dict[str, Any]:
        return {"unshown": [plain(step) for step in self.unshown]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.unshown[:] = [unplain(step) for step in state["unshown"]]


class Linear:
    """tried: returns and weights of whole episodes since weights were drawn anew. trying: (N, A, D + 1) weights by
    which the lanes go now, what they earned (N,), and whether it was so from the episode's first step (N,)."""

    def __init__(self, algorithm: CrossEntropy, mean: Weights, draw: np.random.Generator) -> None:
        self._of, self._draw = algorithm, draw
        self._mean, self._spread = mean, np.ones_like(mean)
        self._tried: list[tuple[float, Weights]] = []
        self._trying: tuple[Weights, Weights, NDArray[np.bool_]] | None = None

    def enter(self) -> None:
        self._trying = None

    def live(self, lanes: Sequence[Any], steps: int, look: int, watch: Callable[[Transitions], bool]) -> int:
        unshown = self._of.unshown
        for taken in range(len(lanes), steps + 1, len(lanes)):
            unshown.append(self._step(lanes))
            if len(unshown) * len(lanes) >= look:
                block = Transitions.joined(unshown)
                unshown.clear()
                if watch(block):
                    return taken
        return steps

    def _step(self, lanes: Sequence[Any]) -> Transitions:
        count = len(lanes)
        if self._trying is None:
            # Episodes that somebody else began are no test.
            fresh = np.array([lane.observation is None for lane in lanes])
            self._trying = np.stack([self._another() for _ in lanes]), np.zeros(count), fresh
        weights, earned, whole = self._trying
        before = np.stack([lane.reset()[0] if lane.observation is None else lane.observation for lane in lanes])
        actions = np.einsum("nad,nd->na", weights, _with_one(before)).argmax(1)
        results = [lane.step(action) for lane, action in zip(lanes, actions, strict=True)]
        after, rewards, ended, cut = (np.array([result[part] for result in results]) for part in range(4))
        earned += rewards
        for lane in np.flatnonzero(ended | cut):
            lanes[lane].reset()
            if whole[lane]:
                self._tried.append((float(earned[lane]), weights[lane].copy()))
            weights[lane], earned[lane], whole[lane] = self._another(), 0.0, True
        if len(self._tried) >= self._of.population:
            self._improve()
        return Transitions(before, actions, rewards.astype(np.float64), after, ended, cut)

    def _another(self) -> Weights:
        return self._mean + self._spread * self._draw.standard_normal(self._mean.shape)

    def _improve(self) -> None:
        best = [w for _, w in sorted(self._tried, key=lambda pair: -pair[0])[: self._of.best]]
        self._mean, self._spread = np.mean(best, axis=0), np.std(best, axis=0) + 0.02
        self._tried = []

    def act(self, observations: Any) -> Array:
        actions: Array = (_with_one(observations) @ self._mean.T).argmax(1)
        return actions

    def keep(self) -> dict[str, Any]:
        tried = [[earned, torch.from_numpy(w)] for earned, w in self._tried]
        return {"mean": torch.from_numpy(self._mean), "spread": torch.from_numpy(self._spread), "tried": tried}

    def put_back(self, kept: dict[str, Any]) -> None:
        self._mean, self._spread = kept["mean"].cpu().numpy(), kept["spread"].cpu().numpy()
        self._tried, self._trying = [(earned, w.cpu().numpy()) for earned, w in kept["tried"]], None

    def inherit(self, parent: Linear) -> None:
        self._mean, self._spread = parent._mean.copy(), parent._spread.copy()

    def adopt(self, transitions: Transitions, lanes: int) -> None:
        """It learns from whole episodes of its own alone."""

    def temporal_differences(self, transitions: Transitions) -> None:
        """It has no value function."""

    def logged(self) -> dict[str, float]:
        return {"cross_entropy/spread": float(self._spread.mean())}

    def parameters(self) -> int:
        return self._mean.size

    def bytes(self) -> int:
        return self._mean.nbytes * (2 + len(self._tried))

    def state_dict(self) -> dict[str, Any]:
        trying = None if self._trying is None else [torch.from_numpy(part.copy()) for part in self._trying]
        return {**self.keep(), "trying": trying, "draw": deepcopy(self._draw.bit_generator.state)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.put_back(state)
        if state["trying"] is not None:
            weights, earned, whole = (part.cpu().numpy().copy() for part in state["trying"])
            self._trying = weights, earned, whole
        self._draw.bit_generator.state = state["draw"]


def _with_one(rows: Array) -> Array:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
