"""Experts that share the trunk of one Stable-Baselines3 model, each with heads of its own.

When an expert is left, the observations of its world that it met last are shown to the trunk, and the input directions
that they use are shut: from then on every step of the model's own optimizers leaves what the trunk answers there as it
is, biases included (see `lifelong.subspace`). Heads are exchanged, optimizers start anew. The precedent is projected
PPO on Atari games (Saha & Roy 2023, scaled gradient projection).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from lifelong.acting.encoding import Rows
from lifelong.acting.policy import Policy
from lifelong.acting.saved import plain, unplain
from lifelong.interaction import Array, Observations, Transitions
from lifelong.subspace.method import Method
from lifelong.subspace.protection import Protection
from lifelong.updates.attach import Handle
from lifelong_agents.sb3.anatomy import head_names, trunk_parts
from lifelong_agents.sb3.memory import emptied
from lifelong_agents.sb3.policy import Sb3Policy
from lifelong_agents.sb3.saved import buffer_state, fill
from lifelong_agents.sb3.values import answered

if TYPE_CHECKING:
    from lifelong.interaction import Lane

LATEST = 4096
"""Transitions whose observations stand for an expert's world when it is left."""


class Trunk:
    """One model, what its trunk must not unlearn, and the heads of all its experts. owner: the first of them."""

    def __init__(self, inner: Sb3Policy, method: Method | None, owner: int) -> None:
        self.inner, self.owner, policy = inner, owner, inner.model.policy
        named = {**dict(policy.named_parameters()), **dict(policy.named_buffers())}
        self._heads = [named[name].detach() for name in sorted(head_names(policy))]
        self._first = self._copy()
        self._of: dict[int, list[Tensor]] = {}
        self._buffers: dict[int, Any] = {}
        self.seated: int | None = None
        self.latest: deque[tuple[int, Transitions]] = deque()
        parts = list(trunk_parts(policy))
        self.protection = None if method is None else Protection(lambda: parts, method)
        self._handles: list[Handle] = []

    @property
    def head_size(self) -> int:
        return sum(t.numel() for t in self._heads)

    def seat(self, number: int) -> None:
        """Another expert takes over: keep what the one before it used, and exchange the heads."""
        if number == self.seated:
            return
        model = self.inner.model
        if self.seated is not None:
            self._of[self.seated] = self._copy()
            self._consolidate()
        if isinstance(model, OffPolicyAlgorithm) and model.replay_buffer is not None:
            if self.seated is not None:
                self._buffers[self.seated] = model.replay_buffer
            model.replay_buffer = self._buffers.pop(number, None) or emptied(model.replay_buffer)
        self._put_on(self._of.get(number, self._first))
        self.seated = number
        self.latest.clear()
        self.guard()

    def _consolidate(self) -> None:
        for handle in self._handles:
            handle.sync()
        if self.protection is not None and self.latest:
            blocks = [block for _, block in self.latest]
            self.protection.consolidate(blocks, forward=lambda block: answered(self.inner.model, block))

    def guard(self) -> None:
        """Hold the optimizers to what is protected; moments of one world say nothing about the next."""
        for handle in self._handles:
            handle.detach()
        self._handles = []
        moved = {id(p) for _, part in trunk_parts(self.inner.model.policy) for p in part.parameters()}
        for optimizer in self.inner.optimizers:
            optimizer.state.clear()
            trunk = any(id(p) in moved for group in optimizer.param_groups for p in group["params"])
            if self.protection is not None and self.protection.tasks and trunk:
                self._handles.append(self.protection.attach(optimizer, form="project", every=1))

    def held(self) -> list[Tensor]:
        """What its steps are measured from, and what they moved."""
        return [t for handle in self._handles for t in handle.tensors()]

    @torch.no_grad()
    def put_back(self, held: list[Tensor]) -> None:
        for mine, theirs in zip(self.held(), held, strict=True):
            mine.copy_(theirs)
        for handle in self._handles:
            handle.rewound()

    @contextmanager
    def wearing(self, number: int) -> Iterator[None]:
        """Inside, the model answers with this expert's heads."""
        if number == self.seated:
            yield
            return
        mine = self._copy()
        self._put_on(self._of.get(number, self._first))
        try:
            yield
        finally:
            self._put_on(mine)

    def inherit(self, number: int, parent: int) -> None:
        """An expert that was not seated yet begins with another one's heads."""
        self._of[number] = self._copy() if parent == self.seated else self._of[parent]

    def saw(self, block: Transitions) -> None:
        """The seated expert met this."""
        self.latest.append((self.inner.model.num_timesteps, block))
        while sum(len(b) for _, b in self.latest) - len(self.latest[0][1]) >= LATEST:
            self.latest.popleft()

    def unsaw(self) -> None:
        """What came after the model's present step was another world."""
        now = self.inner.model.num_timesteps
        self.latest = deque((at, block) for at, block in self.latest if at <= now)

    def _copy(self) -> list[Tensor]:
        return [t.clone() for t in self._heads]

    @torch.no_grad()
    def _put_on(self, heads: list[Tensor]) -> None:
        for mine, theirs in zip(self._heads, heads, strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        return {
            "of": {number: list(heads) for number, heads in self._of.items()},
            "seated": self.seated,
            "buffers": {number: buffer_state(buffer) for number, buffer in self._buffers.items()},
            "latest": [[at, plain(block)] for at, block in self.latest],
            "protection": None if self.protection is None else self.protection.state_dict(),
            "inner": self.inner.state_dict(),
            "handles": [handle.state_dict() for handle in self._handles],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._of, self.seated = dict(state["of"]), state["seated"]
        self.latest = deque((at, unplain(block)) for at, block in state["latest"])
        if self.protection is not None:
            self.protection.load_state_dict(state["protection"])
        # Guarding clears moments, so it comes before they are loaded.
        self.guard()
        self.inner.load_state_dict(state["inner"])
        for handle, held in zip(self._handles, state["handles"], strict=True):
            handle.load_state_dict(held)
        self._buffers = {}
        for number, kept in state["buffers"].items():
            self._buffers[number] = emptied(self.inner.model.replay_buffer)  # type: ignore[attr-defined]
            fill(self._buffers[number], kept)


class SharingPolicy:
    """One expert's part of a `Trunk`."""

    def __init__(self, trunk: Trunk, number: int) -> None:
        self._trunk, self._number, self._owns = trunk, number, trunk.owner == number

    def enter(self) -> None:
        self._trunk.seat(self._number)
        self._trunk.inner.enter()

    def live(self, lanes: Sequence[Lane], steps: int, look: int, watch: Callable[[Transitions], bool]) -> int:
        def watched(block: Transitions) -> bool:
            self._trunk.saw(block)
            return watch(block)

        return self._trunk.inner.live(lanes, steps, look, watched)

    def act(self, observations: Observations) -> Array:
        with self._trunk.wearing(self._number):
            return self._trunk.inner.act(observations)

    def keep(self) -> dict[str, Any]:
        return {**self._trunk.inner.keep(), "held": [t.clone() for t in self._trunk.held()]}

    def put_back(self, kept: dict[str, Any]) -> None:
        self._trunk.inner.put_back(kept)
        self._trunk.put_back(kept["held"])
        self._trunk.unsaw()

    def inherit(self, parent: Policy) -> None:
        assert isinstance(parent, SharingPolicy)
        self._trunk.inherit(self._number, parent._number)

    def adopt(self, transitions: Transitions, lanes: int) -> None:
        self._trunk.inner.adopt(transitions, lanes)

    def temporal_differences(self, transitions: Transitions) -> Rows | None:
        with self._trunk.wearing(self._number):
            return self._trunk.inner.temporal_differences(transitions)

    def logged(self) -> dict[str, float]:
        return self._trunk.inner.logged()

    def parameters(self) -> int:
        """What it has for itself; the trunk counts for the first expert."""
        return self._trunk.inner.parameters() if self._owns else self._trunk.head_size

    def bytes(self) -> int:
        return self._trunk.inner.bytes() if self._owns else 4 * self._trunk.head_size

    def state_dict(self) -> dict[str, Any]:
        """What it shares is saved with the first one."""
        return self._trunk.state_dict() if self._owns else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._owns:
            self._trunk.load_state_dict(state)
