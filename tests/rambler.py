"""One who acts at random in worlds, and believes nothing that cannot be: for tests of worlds that fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sides import Side, _own_score

from lifelong.events import Event, Update
from lifelong.interaction import Interaction, Stage
from lifelong.learner import Size
from lifelong.stopping import Stop


class Rambler:
    """Draws its actions; the mean of what it saw is all that it learns. pids: of the processes that it met.

    stop: who asks it to stop in the `after`-th experience, if anybody does.
    """

    def __init__(self, seed: int = 0, stop: Stop | None = None, after: int = 0) -> None:
        self._stop, self._left = stop, after
        self._random = np.random.default_rng(seed)
        self.mean, self.seen = 0.0, 0
        self._running: dict[int, float] = {}
        self.pids: set[int] = set()

    def live(self, interaction: Interaction) -> Sequence[Update | Event]:
        self._left -= 1
        if self._stop is not None and not self._left:
            self._stop.asked = "a test"
        returns = []
        for k in range(interaction.steps):
            place = k % len(interaction.lanes)
            lane: Any = interaction.lanes[place]
            if lane.observation is None:
                lane.reset()
            observation, reward, ended, cut, info = lane.step(int(self._random.integers(2)))
            parts = list(observation.values()) if isinstance(observation, dict) else [observation]
            assert all(part.shape == (3,) and part.dtype == np.float32 and np.isfinite(part).all() for part in parts)
            assert reward in (0.0, 1.0)
            assert (reward == 0.0) == ("failed" in info) <= bool(cut)
            self.pids.add(info.get("pid", 0))
            self.mean, self.seen = self.mean + float(np.mean(parts)), self.seen + 1
            self._running[place] = self._running.get(place, 0.0) + float(reward)
            if ended or cut:
                returns.append(self._running.pop(place))
                lane.reset()
        score = torch.tensor([[np.mean(returns) if returns else np.nan]], dtype=torch.float32)
        loss = torch.tensor(self.mean / self.seen)
        return [Update(0, loss, score, torch.zeros(1), _own_score, samples=interaction.steps)]

    def actor(self, stage: Stage) -> Side:
        return Side(0, stage.lanes)

    def size(self) -> Size:
        return Size(1, 1)

    def state_dict(self) -> dict[str, Any]:
        numbers = [self.mean, self.seen]
        return {"numbers": numbers, "random": self._random.bit_generator.state, "running": self._running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean, self.seen = state["numbers"]
        self._random.bit_generator.state = state["random"]
        self._running = dict(state["running"])
