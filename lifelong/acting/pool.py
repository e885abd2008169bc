"""All experts that act: who is there, who knows some evidence, and room for one more."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

from lifelong.acting.evidence import FOREIGN, Evidence
from lifelong.acting.expert import ActingExpert, Kind
from lifelong.acting.policy import Algorithm
from lifelong.acting.randomness import random_state_kept
from lifelong.acting.spaces import space_of
from lifelong.acting.starts import FEW, UNLIKE
from lifelong.acting.world_model import WorldModel
from lifelong.interaction import Stage
from lifelong.learner import Size
from lifelong.shift.detector import Detector


class ActingPool:
    """Experts by number, made by one algorithm, each with a copy of one detector (None: they do not look out), and a
    guard over where episodes begin (None: they do not look at that)."""

    def __init__(
        self, algorithm: Algorithm, detector: Detector | None, guard: Detector | None, limit: int | None, seed: int
    ) -> None:
        self._algorithm, self.detector, self._guard = algorithm, detector, guard
        self._limit, self._seed = limit, seed
        self.experts: list[ActingExpert] = []
        self._kinds: list[Kind] = []
        self._turns = 0

    @property
    def threshold(self) -> float | None:
        return None if self.detector is None else self.detector.threshold

    @property
    def is_one(self) -> bool:
        """Whether there can be one expert alone, which is meant for all worlds."""
        return self._limit == 1

    @property
    def is_full(self) -> bool:
        return self._limit is not None and len(self.experts) >= self._limit

    def spawn(self, stage: Stage) -> ActingExpert:
        kind = self.kind(stage.observation_space, stage.action_space)
        policy = self._algorithm.spawn(len(self.experts), stage)
        model = WorldModel(kind.encoding, seed=self._seed)
        watch = deepcopy(self.detector), deepcopy(self._guard)
        self.experts.append(ActingExpert(len(self.experts), kind, policy, model, *watch, lanes=stage.lanes))
        return self.experts[-1]

    def check(self, stage: Stage) -> None:
        """Try out, before anybody lives, whether the algorithm can act in such a world. Raises ValueError otherwise."""
        Kind.of(stage.observation_space, stage.action_space)
        # Once there are experts, a copy of the algorithm would hold copies of the lanes that they live in.
        if not self.experts:
            with random_state_kept():
                # Spaces have generators of their own.
                algorithm, where = deepcopy((self._algorithm, stage))
                algorithm.spawn(0, where)

    def seat(self, expert: ActingExpert) -> None:
        """It acts from now on."""
        self._turns += 1
        expert.seated = self._turns

    def kind(self, observation_space: Any, action_space: Any) -> Kind:
        """The same object for equal spaces, so that they are compared once."""
        for kind in self._kinds:
            if kind.is_of(observation_space, action_space):
                return kind
        self._kinds.append(Kind.of(observation_space, action_space))
        return self._kinds[-1]

    def of(self, kind: Kind) -> list[ActingExpert]:
        """Those that could be in such a world, as far as can be seen from outside; the latest first."""
        return sorted((e for e in self.experts if e.kind == kind), key=lambda e: -e.seated)

    def nearest(self, evidence: Evidence, active: ActingExpert) -> tuple[float, ActingExpert | None]:
        """Who of the others knows most of this, and how foreign it is to that one (see `foreignness`).

        In a full pool, where nobody knows it, the active one competes: it may be the one that is disturbed least.
        """
        others = [e for e in self.of(active.kind) if e is not active]
        if self.is_full:
            others.append(active)
        asked = [(foreignness(e, evidence), e.number) for e in others]
        if not asked:
            return math.inf, None
        least, number = min(asked)
        return least, self.experts[number]

    def is_foreign(self, evidence: Evidence, active: ActingExpert) -> bool:
        """Whether this is another world than the active expert's.

        Either what it knows is in its way; or that is not much, and somebody else foresees all of this far better: an
        expert that meets states of which it knows little is soon no worse than one that knows nothing.
        """
        own = foreignness(active, evidence)
        if own > FOREIGN:
            return True
        others = [foreignness(e, evidence) for e in self.of(active.kind) if e is not active]
        return bool(others) and own - min(others) > FOREIGN

    def size(self) -> Size:
        parameters = sum(e.policy.parameters() for e in self.experts)
        return Size(len(self.experts), parameters, sum(e.policy.bytes() + e.model.bytes() for e in self.experts))

    def state_dict(self) -> dict[str, Any]:
        experts = [e.state_dict() for e in self.experts]
        return {"experts": experts, "turns": self._turns, "algorithm": self._algorithm.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.experts, self._turns = [], state["turns"]
        for kept in state["experts"]:
            stage = Stage(space_of(kept["observation_space"]), space_of(kept["action_space"]), kept["lanes"])
            self.spawn(stage).load_state_dict(kept)
        self._algorithm.load_state_dict(state["algorithm"])


def foreignness(expert: ActingExpert, evidence: Evidence) -> float:
    """How much an expert's world is another one than the evidence's; above FOREIGN it is.

    How much what it knows is in the way of foreseeing the transitions; or how unlike its own the episodes begin, where
    that is another world's way and says more. An expert that has hardly seen a world knows none.
    """
    if not expert.model.is_ready:
        return math.inf
    transitions = expert.model.hindrance(expert.model.see(evidence.transitions), evidence.spared)
    if len(evidence.starts) < FEW or not expert.starts.is_ready:
        return transitions
    begins = FOREIGN * expert.starts.together(evidence.starts) / UNLIKE
    return max(transitions, begins) if begins > FOREIGN else transitions
