"""The pool of experts: who explains this evidence, and who shall learn what nobody explains.

Experts all start from one ancestor: the same first weights for the same part of a network.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from lifelong.adapters import Bending
from lifelong.assembly import Assembly
from lifelong.events import ParameterHeld
from lifelong.experience import Batch
from lifelong.expert import Expert, Foundation
from lifelong.learner import Size
from lifelong.network import Network
from lifelong.objective import Contract
from lifelong.optimizer import Optimizer
from lifelong.shift.detector import Detector
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.method import Method
from lifelong.subspace.protection import Protection
from lifelong.transfer import probe_error

Sharing = Literal["never", "always", "auto", "adapters"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well an expert explains evidence: the share (0: as in its own world, 1: as if untrained) it leaves open."""

    expert: Expert
    unexplained: float


@dataclass(frozen=True, slots=True)
class Upbringing:
    """How experts are made: network, optimizer, detector, and what their foundations protect.

    share: whether a new expert builds on an existing foundation: never; always (one foundation for all); auto (when a
    linear probe on an old foundation's features errs at most 0.6 times as much as one on the inputs and one on the
    ancestor's features, and less than `full` of its directions are taken); adapters (one foundation for all: its first
    expert trains it whole, until a second one joins; from then on it stands still, and each expert, the first one too,
    trains adapters of this `rank`, norms and heads of its own). limit: most experts in the pool.
    tolerance: the unexplained share up to which an expert is taken to know the evidence. heads_too: protect heads
    as well, for one network whose head serves every task. subspace: how shared parts are protected. See `Expert`
    for the others.
    """

    network: Network
    optimizer: Optimizer
    detector: Detector | None = None
    subspace: Method = Gpm()
    sync_every: int = 1
    share: Sharing = "never"
    limit: int | None = None
    tolerance: float = 0.1
    full: float = 0.9
    heads_too: bool = False
    rank: int = 8

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(
                f"There must be room for at least 1 expert (max_experts), or null for no limit, got {self.limit}."
            )
        if not 0.0 <= self.tolerance < 1.0:
            raise ValueError(f"tolerance must be in [0, 1), got {self.tolerance}.")
        if self.subspace.feels or self.subspace.looks_ahead:
            raise ValueError(
                f"{type(self.subspace).__name__} must be told when a task begins, which nobody knows here. Take a "
                "method that looks at tasks as they end, such as Gpm, Sgp or NullSpace, or use it through Protection."
            )
        if self.sync_every < 1:
            raise ValueError(f"sync_every must be at least 1 step, got {self.sync_every}.")
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}.")


class Pool:
    """Spawns experts, and finds the one that explains labelled evidence."""

    def __init__(self, upbringing: Upbringing, seed: int, device: torch.device | str) -> None:
        self._up, self._seed, self._device = upbringing, seed, device
        self._ancestor = Assembly(upbringing.network, seed, device)
        self._foundations: list[Foundation] = []
        self.experts: list[Expert] = []

    @property
    def threshold(self) -> float | None:
        """The threshold of the detector that every expert is given."""
        return None if self._up.detector is None else self._up.detector.threshold

    @property
    def is_full(self) -> bool:
        return self._up.limit is not None and len(self.experts) >= self._up.limit

    def spawn(self, evidence: Sequence[Batch]) -> Expert:
        """A new expert for the world that this evidence comes from."""
        foundation = self._choose_foundation(evidence)
        if foundation.assembly.bending is not None:
            # Whoever trained the body so far begins anew with adapters.
            for expert in self.experts:
                expert.rest()
        return self._raise_on(foundation)

    def _raise_on(self, foundation: Foundation) -> Expert:
        foundation.lanes += 1
        detector = copy.deepcopy(self._up.detector)
        expert = Expert(len(self.experts), foundation, self._up.optimizer, detector, self._up.sync_every)
        self.experts.append(expert)
        return expert

    @torch.no_grad()
    def _choose_foundation(self, evidence: Sequence[Batch]) -> Foundation:
        if self._up.share != "never" and self._foundations:
            if self._up.share in ("always", "adapters"):
                return self._foundations[0]
            inputs, targets, contract = _joined(evidence)
            self._ancestor.grow(contract, "ancestor", evidence[0].task)
            untrained = probe_error(self._ancestor.features(inputs), targets, contract)
            bar = 0.6 * min(untrained, probe_error(inputs, targets, contract))
            errors = [
                (probe_error(f.assembly.features(inputs), targets, contract), i)
                for i, f in enumerate(self._foundations)
                if f.assembly.takes(contract) and f.memory is not None and f.memory.used() < self._up.full
            ]
            if errors and min(errors)[0] < bar:
                return self._foundations[min(errors)[1]]
        return self._found()

    def _found(self) -> Foundation:
        protects = self._up.share in ("always", "auto") or self._up.heads_too
        bending = Bending.under(self._up.optimizer, self._up.rank) if self._up.share == "adapters" else None
        assembly = Assembly(self._up.network, self._seed, self._device, bending)
        alone = self._up.share != "always" and not self._up.heads_too
        foundation = Foundation(assembly, None, self._up.heads_too, may_stay_alone=alone)
        if protects:
            foundation.memory = Protection(
                foundation.protected_parts, self._up.subspace, norms="refuse", apart=foundation.apart
            )
        self._foundations.append(foundation)
        return self._foundations[-1]

    @torch.no_grad()
    def judge(self, evidence: Sequence[Batch]) -> list[Verdict]:
        """Every expert that serves the evidence's contract, best first. One forward pass of each over the evidence."""
        inputs, targets, contract = _joined(evidence)
        task = evidence[0].task
        fresh = float(contract.objective.loss(self.untrained(inputs, contract), targets))
        verdicts = []
        for expert in self.experts:
            if expert.serves(contract, task) and expert.normal is not None:
                normal, loss = (
                    expert.normal,
                    float(contract.objective.loss(expert.answer(inputs, contract, task), targets)),
                )
                # What two standard errors of the evidence's mean can make is not unexplained.
                excess = loss - normal.mean - 2.0 * normal.spread / len(evidence) ** 0.5
                room = max(fresh - normal.mean, 1e-6)
                verdicts.append(Verdict(expert, max(0.0, excess) / room))
        return sorted(verdicts, key=lambda v: v.unexplained)

    def knows(self, verdict: Verdict) -> bool:
        return verdict.unexplained <= self._up.tolerance

    @torch.no_grad()
    def untrained(self, inputs: torch.Tensor, contract: Contract) -> torch.Tensor:
        """What the ancestor of all experts answers."""
        self._ancestor.grow(contract, "ancestor")
        self._ancestor.eval()
        outputs: torch.Tensor = self._ancestor(inputs, contract, "ancestor")
        return outputs

    def held(self) -> list[ParameterHeld]:
        """What holds the parameters of every network that protects some."""
        return [
            ParameterHeld(number, row.parameter, row.shape, row.how, row.why, row.rank, row.size)
            for number, foundation in enumerate(self._foundations)
            for row in foundation.report().rows
        ]

    def size(self) -> Size:
        """Experts, and parameters of all foundations (the ancestor is made from a seed and counts for nothing)."""
        parameters = sum(p.numel() for f in self._foundations for p in f.assembly.parameters())
        return Size(len(self.experts), parameters)

    def state_dict(self) -> dict[str, Any]:
        return {
            "foundations": [
                {"parts": f.assembly.parts(), "memory": None if f.memory is None else f.memory.state_dict()}
                for f in self._foundations
            ],
            "experts": [
                {"foundation": self._index(expert.foundation), "state": expert.state_dict()} for expert in self.experts
            ],
        }

    def _index(self, foundation: Foundation) -> int:
        return next(i for i, known in enumerate(self._foundations) if known is foundation)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._foundations, self.experts = [], []
        for kept in state["foundations"]:
            foundation = self._found()
            foundation.assembly.rebuild(kept["parts"])
            if foundation.memory is not None and kept["memory"] is not None:
                foundation.memory.load_state_dict(kept["memory"])
            else:
                foundation.memory = None
        # All are there before the first is restored: what guards an expert depends on who else is on its foundation.
        for kept in state["experts"]:
            self._raise_on(self._foundations[kept["foundation"]])
        for expert, kept in zip(self.experts, state["experts"], strict=True):
            expert.load_state_dict(kept["state"])


def _joined(evidence: Sequence[Batch]) -> tuple[torch.Tensor, torch.Tensor, Contract]:
    return (
        torch.cat([b.inputs for b in evidence]),
        torch.cat([b.targets for b in evidence]),
        evidence[0].contract,
    )
