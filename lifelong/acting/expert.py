"""An expert that acts: a policy, a model of its world, and a detector that watches over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lifelong.acting.encoding import Encoding
from lifelong.acting.policy import Policy
from lifelong.acting.saved import plain, unplain
from lifelong.acting.spaces import plain_space
from lifelong.acting.starts import Starts
from lifelong.acting.world_model import Seen, WorldModel
from lifelong.interaction import Transitions
from lifelong.shift.detector import Detector


@dataclass(slots=True)
class ActingExpert:
    """`kind` is what its worlds look like from outside. starts: where their episodes begin, over which `guard` watches
    (None: nobody does). seated: when it last took over (larger is later). lanes: in how many it lives."""

    number: int
    kind: Kind
    policy: Policy
    model: WorldModel
    detector: Detector | None
    guard: Detector | None = None
    starts: Starts = field(default_factory=Starts)
    seated: int = -1
    lanes: int = 1

    def lives_in_another(self) -> None:
        """From now on it lives in another world as well: what is normal there has to be found out."""
        for detector in (self.detector, self.guard):
            if detector is not None:
                detector.reset()
        self.starts = Starts()

    def state_dict(self) -> dict[str, Any]:
        return {
            "observation_space": plain_space(self.kind.observation_space),
            "action_space": plain_space(self.kind.action_space),
            "seated": self.seated,
            "lanes": self.lanes,
            "policy": self.policy.state_dict(),
            "model": self.model.state_dict(),
            "detector": None if self.detector is None else self.detector.state_dict(),
            "guard": None if self.guard is None else self.guard.state_dict(),
            "starts": self.starts.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seated = state["seated"]
        self.policy.load_state_dict(state["policy"])
        self.model.load_state_dict(state["model"])
        if self.detector is not None:
            self.detector.load_state_dict(state["detector"])
        if self.guard is not None:
            self.guard.load_state_dict(state["guard"])
        self.starts.load_state_dict(state["starts"])


@dataclass(frozen=True, slots=True)
class Kind:
    """The spaces of a world, and how a model sees them: worlds of equal spaces can only be told apart by living in
    them."""

    observation_space: Any
    action_space: Any
    encoding: Encoding = field(compare=False)

    def is_of(self, observation_space: Any, action_space: Any) -> bool:
        """Whether these are its spaces; the very same objects as a rule."""
        same = self.observation_space is observation_space and self.action_space is action_space
        return same or (self.observation_space == observation_space and self.action_space == action_space)

    @classmethod
    def of(cls, observation_space: Any, action_space: Any) -> Kind:
        return cls(observation_space, action_space, Encoding(observation_space, action_space))


@dataclass(slots=True)
class Lately:
    """What was seen and not yet learned by the model, and what the policy was then: so that it can be taken back.

    blocks: the latest, oldest first, with what the model saw of them; number: how many there ever were. kept: what the
    policy was when so many had been seen, and a copy of it.
    """

    blocks: deque[tuple[Transitions, Seen | None]] = field(default_factory=deque)
    number: int = 0
    kept: deque[tuple[int, dict[str, Any]]] = field(default_factory=deque)

    def first(self) -> int:
        """The number of the oldest block that is still here."""
        return self.number - len(self.blocks)

    def begin(self, policy: Policy) -> None:
        """Another expert begins."""
        self.blocks.clear()
        self.kept = deque([(self.number, policy.keep())])

    def add(self, block: Transitions, seen: Seen | None, policy: Policy) -> None:
        self.number += 1
        self.blocks.append((block, seen))
        self.kept.append((self.number, policy.keep()))

    def renew(self, policy: Policy) -> None:
        """The policy has learned from the latest block, and met nothing since."""
        self.kept[-1] = (self.number, policy.keep())

    def pop(self) -> tuple[Transitions, Seen | None]:
        """Let go of the oldest block, which is in doubt no more."""
        block = self.blocks.popleft()
        while self.kept[0][0] < self.first():
            self.kept.popleft()
        return block

    def transitions(self) -> list[Transitions]:
        return [block for block, _ in self.blocks]

    def __len__(self) -> int:
        """Transitions in doubt."""
        return sum(map(len, self.transitions()))

    def before(self) -> dict[str, Any]:
        """What the policy was before the oldest block."""
        return self.kept[0][1]

    def state_dict(self) -> dict[str, Any]:
        """Copies of policies must be plain data and tensors, as their `keep` makes them."""
        blocks = [plain(block) for block in self.transitions()]
        squares = [None if seen is None else [torch.from_numpy(s) for s in seen.squares] for _, seen in self.blocks]
        return {"blocks": blocks, "squares": squares, "number": self.number, "kept": [list(pair) for pair in self.kept]}

    def load_state_dict(self, state: dict[str, Any], see: Callable[[Transitions], Seen]) -> None:
        """`see`: how the active expert's model sees what it looks at of a block."""
        self.blocks = deque()
        for plain_block, squares in zip(state["blocks"], state["squares"], strict=True):
            block = unplain(plain_block)
            # Errors are those of then: the model has learned since.
            then = None if squares is None else replace(see(block), squares=tuple(s.cpu().numpy() for s in squares))
            self.blocks.append((block, then))
        self.number = state["number"]
        self.kept = deque((number, kept) for number, kept in state["kept"])
