"""Small worlds to act in, and one who acts in them: which of two sides pays depends on the world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch

from lifelong.events import Event, Update
from lifelong.experience import Truth
from lifelong.interaction import Array, Found, Interaction, Stage, Transitions
from lifelong.learner import Size
from lifelong.stream import EnvTask, Segment


class Sides(gymnasium.Env[Any, Any]):
    """Episodes of `length` steps; the side that pays gives 1, the other 0. It can be drawn."""

    def __init__(self, pays: int = 0, length: int = 5, render_mode: str | None = None, size: int = 320) -> None:
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.pays, self.length, self.render_mode, self.size = pays, length, render_mode, size
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        paid = int(action) == self.pays
        return self._seen(), float(paid), self._steps >= self.length, False, {"success": paid}

    def render(self) -> Any:
        if self.render_mode != "rgb_array":
            return None
        picture = np.full((self.size // 2, self.size, 3), 235, np.uint8)
        picture[:, : self.size * self._steps // self.length] = (40, 90 * self.pays, 200)
        return picture

    def _seen(self) -> Array:
        return self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)


def sides(name: str, pays: int, **settings: Any) -> EnvTask:
    return EnvTask(name, lambda count: [Sides(pays) for _ in range(count)], **{"episodes": 4, **settings})


@dataclass
class ToyWorlds:
    """Serves each task in turn: `experiences_each` interactions of `env_steps` steps in two lanes."""

    tasks: Sequence[EnvTask]
    order: Sequence[int] = (0, 1)
    experiences_each: int = 6
    env_steps: int = 20
    seed: int = 0
    name: str = "toy worlds"

    @property
    def segments(self) -> Sequence[Segment]:
        return [Segment(self.tasks[k].name, self.experiences_each) for k in self.order]

    def experiences(self, start: int = 0) -> Iterator[tuple[Interaction, Truth]]:
        step = 0
        for number, k in enumerate(self.order):
            lanes = tuple(self.tasks[k].lanes(2))
            for lane in lanes:
                lane.reset(seed=self.seed)
            for _ in range(self.experiences_each):
                step += 1
                if step > start:
                    yield Interaction(lanes, self.env_steps), Truth(self.tasks[k].name, number)


def _own_score(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return outputs[..., 0]


@dataclass
class Habit:
    """Tries the sides with decaying curiosity, keeps a running value of each, and takes the better one when judged.

    rate: of the running values. found: what its actors claim to have found out.
    """

    seed: int = 0
    rate: float = 0.05
    values: Array = field(default_factory=lambda: np.zeros(2))
    found: tuple[Found, ...] = ()

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._running: dict[int, float] = {}

    def live(self, interaction: Interaction) -> Sequence[Update | Event]:
        returns = []
        for k in range(interaction.steps):
            place = k % len(interaction.lanes)
            lane = interaction.lanes[place]
            action = int(self._random.integers(2)) if self._random.random() < 0.3 else int(self.values.argmax())
            _, reward, ended, cut, _ = lane.step(action)
            self.values[action] += self.rate * (float(reward) - self.values[action])
            self._running[place] = self._running.get(place, 0.0) + float(reward)
            if ended or cut:
                returns.append(self._running.pop(place))
                lane.reset()
        score = torch.tensor([[np.mean(returns) if returns else np.nan]], dtype=torch.float32)
        return [Update(0, torch.tensor(0.0), score, torch.zeros(1), _own_score, samples=interaction.steps)]

    def actor(self, stage: Stage) -> Side:
        return Side(int(self.values.argmax()), stage.lanes, self.found)

    def size(self) -> Size:
        return Size(1, 2)

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values.tolist(), "random": self._random.bit_generator.state, "running": self._running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values = np.array(state["values"])
        self._random.bit_generator.state = state["random"]
        self._running = dict(state["running"])


@dataclass
class Side:
    """Takes one side for ever."""

    side: int
    lanes: int
    found: Sequence[Found] = ()

    def act(self, observations: Any, lanes: Array) -> Array:
        return np.full(len(lanes), self.side)

    def observe(self, transitions: Transitions, lanes: Array) -> None: ...

    @property
    def experts(self) -> Array:
        return np.zeros(self.lanes, dtype=np.int64)
