"""A policy without any library: it acts at random, learns by counting, and remembers whose every step was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from lifelong.acting.saved import plain, unplain
from lifelong.interaction import Stage, Transitions


class Wandering:
    """Makes wanderers, who share the lanes and what was seen in them and not yet shown."""

    def __init__(self, values: bool = True) -> None:
        self.pending: list[Transitions] = []
        self.values = values
        self.made: list[Wanderer] = []

    def spawn(self, number: int, stage: Stage) -> Wanderer:
        self.made.append(Wanderer(self, number))
        return self.made[-1]

    def state_dict(self) -> dict[str, Any]:
        return {"pending": [plain(step) for step in self.pending]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.pending = [unplain(step) for step in state["pending"]]


class Wanderer:
    """knows: how many steps it learned from; own: those of them that it took itself. calls: what was asked of it."""

    def __init__(self, algorithm: Wandering, number: int) -> None:
        self._algorithm, self.number = algorithm, number
        self._draw = np.random.default_rng(number)
        self.knows: list[list[float]] = []
        self.adopted: list[Transitions] = []
        self.calls: list[str] = []
        self.lived: list[int] = []

    def enter(self) -> None:
        self.calls.append("enter")

    def live(self, lanes: Sequence[Any], steps: int, look: int, watch: Callable[[Transitions], bool]) -> int:
        taken, stopped, pending = 0, False, self._algorithm.pending
        while taken < steps and not stopped:
            pending.append(self._step(lanes))
            taken += len(lanes)
            if len(pending) * len(lanes) >= look:
                block = Transitions.joined(pending)
                pending.clear()
                stopped = watch(block)
                self.knows += block.rewards.tolist() if not stopped else []
        self.lived.append(taken)
        return taken

    def _step(self, lanes: Sequence[Any]) -> Transitions:
        before = np.stack([lane.reset()[0] if lane.observation is None else lane.observation for lane in lanes])
        actions = self._draw.integers(0, 2, len(lanes))
        results = [lane.step(action) for lane, action in zip(lanes, actions, strict=True)]
        after, rewards, ended, cut, _ = (list(part) for part in zip(*results, strict=True))
        for lane, over in zip(lanes, np.array(ended) | np.array(cut), strict=True):
            if over:
                lane.reset()
        return Transitions(before, actions, np.array(rewards), np.stack(after), np.array(ended), np.array(cut))

    def act(self, observations: Any) -> Any:
        return np.full(len(observations), self.number % 2)

    def keep(self) -> dict[str, Any]:
        return {"knows": list(self.knows)}

    def put_back(self, kept: dict[str, Any]) -> None:
        self.calls.append("put back")
        self.knows = list(kept["knows"])

    def inherit(self, parent: Wanderer) -> None:
        self.calls.append(f"inherit {parent.number}")
        self.knows = list(parent.knows)

    def adopt(self, transitions: Transitions, lanes: int) -> None:
        self.adopted.append(transitions)
        self.knows += transitions.rewards.tolist()

    def temporal_differences(self, transitions: Transitions) -> Any:
        return np.abs(transitions.rewards) if self._algorithm.values else None

    def logged(self) -> dict[str, float]:
        return {"steps": float(len(self.knows))}

    def parameters(self) -> int:
        return 3

    def bytes(self) -> int:
        return 24

    def state_dict(self) -> dict[str, Any]:
        state = deepcopy(self._draw.bit_generator.state)
        return {"knows": list(self.knows), "draw": state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.knows = list(state["knows"])
        self._draw.bit_generator.state = state["draw"]
