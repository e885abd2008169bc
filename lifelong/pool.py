"""The pool of experts: who explains this evidence, and who shall learn what nobody explains.

Experts all start from one ancestor: the same first weights for the same part of a network.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lifelong.adapters import Bending
from lifelong.assembly import Assembly
from lifelong.budget import Budget
from lifelong.events import ParameterHeld
from lifelong.experience import Batch
from lifelong.expert import Expert
from lifelong.foundation import Foundation
from lifelong.learner import Size
from lifelong.objective import Contract
from lifelong.retention.method import Stored
from lifelong.start import start_from
from lifelong.subspace.protection import Protection
from lifelong.transfer import probe_error
from lifelong.upbringing import Upbringing


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well an expert explains evidence: the share (0: as in its own world, 1: as if untrained) it leaves open."""

    expert: Expert
    unexplained: float


class Pool:
    """Spawns experts by its `upbringing`, and finds the one that explains evidence; `experts`: oldest first."""

    def __init__(self, upbringing: Upbringing, seed: int, device: torch.device | str) -> None:
        self.upbringing = self._up = upbringing
        self._seed, self._device = seed, device
        self._ancestor = Assembly(upbringing.network, seed, device)
        self._budget = Budget(upbringing, seed, device)
        self._foundations: list[Foundation] = []
        self.experts: list[Expert] = []
        self._born = 0

    @property
    def threshold(self) -> float | None:
        """The threshold of the loss's detector that every expert is given."""
        return None if self._up.watch is None else self._up.watch.loss.threshold

    def is_full(self, batch: Batch) -> bool:
        """Whether another expert, for such batches, would be one too many or have too many parameters."""
        if self._up.limit is not None and len(self.experts) >= self._up.limit:
            return True
        return bool(self.experts) and not self._budget.has_room(self._foundations, self.experts, batch)

    def check_budget(self) -> None:
        """Raises ValueError where the first expert alone is larger than all may be together."""
        if len(self.experts) == 1:
            self._budget.check(self._foundations)

    def expert(self, number: int) -> Expert:
        return next(expert for expert in self.experts if expert.number == number)

    def spawn(self, evidence: Sequence[Batch]) -> Expert:
        """A new expert for the world that this evidence comes from."""
        foundation = self._choose_foundation(evidence)
        if foundation.assembly.bending is not None:
            # Whoever trained the body so far begins anew with adapters.
            for expert in self.experts:
                expert.rest()
        newcomer = self._raise_on(foundation)
        if foundation.lanes == 1 and self._up.start != "ancestor":
            verdicts = [(v.expert, v.unexplained) for v in self.judge(evidence) if v.expert is not newcomer]
            start_from(self._up.start, newcomer, verdicts)
        return newcomer

    def succeed(self, expert: Expert) -> Expert:
        """A new expert that goes on from what `expert` is now, on a foundation of its own."""
        successor = self._raise_on(self._found())
        successor.foundation.assembly.inherit(expert.foundation.wake(), expert.lane, successor.lane)
        return successor

    def dissolve(self, expert: Expert, into: Expert) -> None:
        """Let an expert go, and its foundation too, unless others stand on that; `into` is its rivals' rival now."""
        self.experts.remove(expert)
        if expert.foundation.lanes == 1:
            self._foundations.remove(expert.foundation)
        for stretch in (one for other in self.experts for one in other.stretches):
            if expert.number in stretch.rivals:
                stretch.rivals.remove(expert.number)
                stretch.rivals.add(into.number)

    def _raise_on(self, foundation: Foundation) -> Expert:
        foundation.lanes += 1
        watch = copy.deepcopy(self._up.watch)
        up = self._up
        expert = Expert(
            self._born,
            foundation,
            up.optimizer,
            watch,
            up.sync_every,
            up.prune,
            up.retention,
            self._seed + self._born,
        )
        self._born += 1
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
                (probe_error(f.wake().features(inputs), targets, contract), i)
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
        foundation = Foundation(assembly, self._up.heads_too, may_stay_alone=alone)
        if protects:
            foundation.memory = Protection(
                foundation.protected_parts, self._up.subspace, norms="refuse", apart=foundation.apart
            )
        self._foundations.append(foundation)
        return foundation

    def tidy(self, active: Expert) -> None:
        """Put away the foundations that were used least lately, where there is a shelf; never the active expert's."""
        if self._up.shelf is None:
            return
        awake = [f for f in self._foundations if not f.is_away and f is not active.foundation]
        for foundation in sorted(awake, key=lambda f: -f.used)[self._up.hot - 1 :]:
            foundation.put_away(self._up.shelf)

    @torch.no_grad()
    def judge(self, evidence: Sequence[Batch], experts: Sequence[Expert] | None = None) -> list[Verdict]:
        """Each expert (of `experts`, or all) that serves the evidence's contract, best first: a forward pass each."""
        inputs, _, contract = _joined(evidence)
        task, sizes = evidence[0].task, [len(batch.targets) for batch in evidence]
        fresh = self.room(evidence)
        verdicts = []
        for expert in self.experts if experts is None else experts:
            if expert.serves(contract, task) and expert.normal is not None:
                normal, outputs = expert.normal, expert.answer(inputs, contract, task)
                losses = [
                    float(contract.objective.loss(part, batch.targets))
                    for part, batch in zip(torch.split(outputs, sizes), evidence, strict=True)
                ]
                # The median: among the first there may be a batch of the world before.
                loss = statistics.median(losses)
                # What two standard errors of the evidence's mean can make is not unexplained; in an expert that left
                # early the spread is that of its learning curve, and must not excuse everything.
                room = fresh - normal.mean
                noise = min(2.0 * normal.spread / len(evidence) ** 0.5, max(room, 0.0) / 4)
                least = normal.spread / len(evidence) ** 0.5
                # Whoever has hardly learned anything is at a loss everywhere alike, and explains nothing by that.
                verdicts.append(Verdict(expert, max(0.0, loss - normal.mean - noise) / room if room > least else 1.0))
        return sorted(verdicts, key=lambda v: v.unexplained)

    @torch.no_grad()
    def covers(self, experts: Sequence[Expert], batches: Sequence[Batch], known: float, short: float = 0.25) -> bool:
        """Whether these together, each where it fits best, do as well as `known`, the loss of who knew this world.

        short: the share of the tolerance that they may fall short of it.
        """
        inputs, targets, contract = _joined(batches)
        loss = contract.objective.loss
        each = [
            torch.stack([loss(o[None], t[None]) for o, t in zip(outputs, targets, strict=True)])
            for outputs in (expert.answer(inputs, contract, batches[0].task) for expert in experts)
        ]
        if not each:
            return False
        best = float(torch.stack(each).amin(0).mean())
        return best - known <= short * self._up.tolerance * (self.room(batches) - known)

    def loss(self, expert: Expert, batches: Sequence[Batch]) -> float:
        """An expert's mean loss on these batches."""
        inputs, targets, contract = _joined(batches)
        return float(contract.objective.loss(expert.answer(inputs, contract, batches[0].task), targets))

    def room(self, evidence: Sequence[Batch]) -> float:
        """The loss of who knows nothing."""
        inputs, targets, contract = _joined(evidence)
        return float(contract.objective.loss(self.untrained(inputs, contract), targets))

    def knows(self, verdict: Verdict) -> bool:
        return verdict.unexplained <= self._up.tolerance

    def is_at_home(self, verdict: Verdict) -> bool:
        """Whether this is the expert's own world, and another expert for it would be one too many."""
        return verdict.unexplained <= self._up.tolerance / 4

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
        parameters = sum(f.parameters() for f in self._foundations)
        remembered = sum(
            t.numel() * t.element_size() for e in self.experts for s in e.stretches for t in s.description.values()
        )
        stored = sum((e.retained.stored() for e in self.experts if e.retained is not None), Stored())
        return Size(
            len(self.experts),
            parameters,
            sum(f.bytes() for f in self._foundations) + remembered + stored.bytes,
            sum(f.archived() for f in self._foundations),
            None if self._up.prune is None else sum(f.nonzero for f in self._foundations),
            stored.samples,
            stored.bytes,
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "foundations": [
                {
                    "parts": f.assembly.parts(),
                    "ticket": f.ticket,
                    "away": f.is_away,
                    "memory": None if f.memory is None else f.memory.state_dict(),
                }
                for f in self._foundations
            ],
            "experts": [
                {"number": e.number, "foundation": self._index(e.foundation), "state": e.state_dict()}
                for e in self.experts
            ],
            "born": self._born,
        }

    def _index(self, foundation: Foundation) -> int:
        return next(i for i, known in enumerate(self._foundations) if known is foundation)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._foundations, self.experts = [], []
        for kept in state["foundations"]:
            foundation = self._found()
            if not kept["away"]:
                foundation.assembly.rebuild(kept["parts"])
                foundation.ticket = kept["ticket"]
            elif self._up.shelf is None:
                raise ValueError("Some experts were put away on the disk: set archive to the folder that they are in.")
            else:
                foundation.assembly.outline(kept["parts"])
                foundation.put_away(self._up.shelf, kept["ticket"])
            if foundation.memory is not None and kept["memory"] is not None:
                foundation.memory.load_state_dict(kept["memory"])
            else:
                foundation.memory = None
        # All are there before the first is restored: what guards an expert depends on who else is on its foundation.
        for kept in state["experts"]:
            self._born = kept["number"]
            self._raise_on(self._foundations[kept["foundation"]])
        self._born = state["born"]
        for expert, kept in zip(self.experts, state["experts"], strict=True):
            expert.load_state_dict(kept["state"])


def _joined(evidence: Sequence[Batch]) -> tuple[torch.Tensor, torch.Tensor, Contract]:
    return (
        torch.cat([b.inputs for b in evidence]),
        torch.cat([b.targets for b in evidence]),
        evidence[0].contract,
    )
