"""One network and head for all tasks, and the retention methods that keep it from forgetting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lifelong.anchor import Anchor
from lifelong.dispatch import Dispatcher
from lifelong.events import Event, Update
from lifelong.experience import Batch, Prediction, Prospect, Query
from lifelong.learner import Learner, Size
from lifelong.lifelong_learner import LifelongLearner
from lifelong.network import Mlp, Network
from lifelong.optimizer import Optimizer
from lifelong.pool import Pool
from lifelong.retention.method import Retention
from lifelong.retention.needs import Ends, are_particular, await_ends, check, shows_ends
from lifelong.routing.gaussian import GaussianRouter
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.trail import Trail
from lifelong.upbringing import Upbringing
from lifelong.watch import Watch
from lifelong_agents.told import Told


class Retain:
    """One network that keeps what it learned by retention methods; it is told when a task ends, or finds out.

    retention: the methods, which work together. detector: finds the ends of tasks on streams that do not show them
    (null: they are not looked for, and methods that must know them are refused there). drift_every: batches between two
    looks for drift that gives no alarm. memory: latest samples of a task that methods are shown as it ends; where the
    end must be found, at least 32 batches are kept to go back to, and none where no method begins to work then.
    read_every: batches between two looks at the loss (null: 1 on the CPU, 8 on a GPU).
    """

    def __init__(
        self,
        retention: tuple[Retention, ...],
        network: Network = Mlp(),
        optimizer: Optimizer = Optimizer(),
        detector: Detector | None = Cusum(),
        drift_every: int | None = 250,
        memory: int = 1000,
        read_every: int | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if not retention:
            raise ValueError("retention must name at least one method; without any, use finetune.")
        self._retention = retention
        self._told = Told(network, optimizer, retention, memory, seed, device)
        self._finds: LifelongLearner | None = None
        if detector is not None and self.awaits_ends:
            watch = Watch(detector, None, None)
            upbringing = Upbringing(network, optimizer, watch, limit=1, heads_too=False, retention=retention)
            looks = read_every if read_every is not None else 1 if torch.device(device).type == "cpu" else 8
            anchor = None if drift_every is None else Anchor(drift_every)
            pool = Pool(upbringing, seed, device)
            self._finds = LifelongLearner(pool, Dispatcher(GaussianRouter()), Trail(memory=memory), looks, anchor)
        self._inner: Learner = self._told if self._finds is None else self._finds
        self._started = False

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        if not self._started:
            self.suits(batch)
            self._started = True
            if shows_ends(batch):
                self._inner = self._told
        return self._inner.learn(batch)

    @property
    def awaits_ends(self) -> bool:
        return await_ends(self._retention)

    @property
    def is_particular(self) -> bool:
        return are_particular(self._retention)

    def suits(self, first: Batch, prospect: Prospect | None = None) -> None:
        known: Ends = "shown" if shows_ends(first) else "never" if self._finds is None else "found"
        check(self._retention, known, first, prospect)

    def predict(self, query: Query) -> Prediction:
        return self._inner.predict(query)

    @property
    def threshold(self) -> float | None:
        """What the detector's statistic must exceed to be taken for a shift."""
        return self._finds.threshold if self._inner is self._finds and self._finds is not None else None

    def size(self) -> Size:
        return self._inner.size()

    def state_dict(self) -> dict[str, Any]:
        return {"told": self._inner is self._told, "started": self._started, "inner": self._inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._started = state["started"]
        if state["told"]:
            self._inner = self._told
        elif self._finds is not None:
            self._inner = self._finds
        else:
            raise ValueError("This state is of an agent that has a detector, and this one has none.")
        self._inner.load_state_dict(state["inner"])
