"""The lifelong agent for drifting tables: bounded experts with exact updates, weighed anew at every row.

B rows in a batch, D columns, C classes, K experts, each of which gives the chances of the next label.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.events import Event, ExpertChosen, ExpertSpawned, ShiftDetected, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.learner import Size
from lifelong.objective import Classification, Contract
from lifelong.shift.cusum import Cusum
from lifelong.shift.detector import Detector
from lifelong.tracking.combiner import Combiner
from lifelong.tracking.durations import Durations
from lifelong.tracking.expert import Expert
from lifelong.tracking.features import Features
from lifelong.tracking.opinion_pool import OpinionPool
from lifelong.tracking.recall import LIMIT, Recall
from lifelong.tracking.recursive_ridge import RecursiveRidge

Vector = NDArray[np.float64]

EVIDENCE = 8
"""Blocks that specialists are judged on after a shift, at most."""

CLEARLY = 0.9
"""Share of the active specialist's loss since the shift below which an earlier one is taken back."""

POOLED = OpinionPool()


class Mind:
    """What a tracker knows of a table: its memory, experts that always learn, and specialists, of which one does.

    Specialists stand in the order in which they were last in charge, the active one at the end. `evidence` holds what
    was seen with the past, and the labels, of the latest EVIDENCE blocks; `surprises` the losses of the one that fills.
    """

    def __init__(self, recall: Recall, views: tuple[Features, Features], durations: Durations | None) -> None:
        self.recall, self.views, self.durations = recall, views, durations
        self.founders: list[Expert] = []
        self.specialists: list[Expert] = []
        self.born = 0
        self.evidence: list[tuple[Vector, int]] = []
        self.surprises: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        return {
            "recall": self.recall.state_dict(),
            "durations": None if self.durations is None else self.durations.state_dict(),
            "founders": [expert.state_dict() for expert in self.founders],
            "specialists": [expert.state_dict() for expert in self.specialists],
            "born": self.born,
            "seen": [torch.from_numpy(features.copy()) for features, _ in self.evidence],
            "labels": [label for _, label in self.evidence],
            "surprises": list(self.surprises),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.recall.load_state_dict(state["recall"])
        if self.durations is not None:
            self.durations.load_state_dict(state["durations"])
        self.founders = [Expert.restored(kept) for kept in state["founders"]]
        self.specialists = [Expert.restored(kept) for kept in state["specialists"]]
        seen = [features.numpy().copy() for features in state["seen"]]
        self.evidence = list(zip(seen, state["labels"], strict=True))
        self.born, self.surprises = state["born"], list(state["surprises"])

    @property
    def learning(self) -> list[Expert]:
        return [*self.founders, self.specialists[-1]]

    def all(self) -> list[Expert]:
        return [*self.founders, *self.specialists]

    def opinions(self, rows: Vector) -> tuple[tuple[Vector, Vector], Vector]:
        """What experts see of (B, D) rows that might come next, without and with the past; opinions (B, K, C)."""
        seen = self.views[0].of(rows.clip(-LIMIT, LIMIT)), self.views[1].of(self.recall.describe(rows))
        given = [expert.opinion(seen) for expert in self.learning]
        if self.durations is not None:
            given.append(np.broadcast_to(self.durations.answer(), given[0].shape))
        return seen, np.stack(given, axis=1)


class Tracker:
    """Online agent for drifting tables: recall, exact regressions with several memories, pooled opinions, specialists.

    Experts see a row alone, or also its past: differences from the level of `levels` rows, the latest `labels` labels.
    Of both kinds there is one that never forgets and one for each of `forgetting`, the share of its weight that a row
    keeps while the next one comes. Where labels are recalled, one more knows how long they last. All see steps in each
    column and `hidden` random features. The one that recalls and never forgets is a specialist: when the log loss of
    the pooled answer, averaged over `block` rows, shifts, it is put by, and an earlier specialist that explains the
    rows since then takes over, or a child that knows what it knew and learns fast. At `max_experts` the one that was
    longest out of charge goes. Inputs should be standardised. A batch is answered before any of its rows is learned.
    For classes in one table; the arithmetic is on the CPU, in float64.
    """

    def __init__(
        self,
        levels: tuple[int, ...] = (1, 8, 64),
        labels: int = 1,
        hidden: int = 100,
        forgetting: tuple[float, ...] = (0.998,),
        ridge: float = 3.0,
        combiner: Combiner = POOLED,
        detector: Detector = Cusum(),
        block: int = 25,
        max_experts: int = 12,
        seed: int = 0,
    ) -> None:
        least = 2 * (1 + len(forgetting)) + (labels > 0)
        if max_experts < least + 1 or block < 1:
            raise ValueError(
                f"Tracker starts with {least} experts and needs max_experts >= {least + 1} and block >= 1, got "
                f"forgetting={list(forgetting)}, labels={labels}, max_experts={max_experts}, block={block}."
            )
        # Settings out of range are refused now, not at the first row.
        Recall(1, 2, levels, labels)
        Features(1, 1, hidden, seed)
        for fading in forgetting:
            RecursiveRidge(1, 2, fading, ridge)
        self._levels, self._labels, self._hidden, self._seed = levels, labels, hidden, seed
        self._forgetting, self._ridge, self._block, self._limit = forgetting, ridge, block, max_experts
        self._combiner, self._detector = deepcopy(combiner), deepcopy(detector)
        self._contract: Contract | None = None
        self._mind: Mind | None = None

    @property
    def threshold(self) -> float | None:
        return self._detector.threshold

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        events: list[Event] = []
        if self._mind is None:
            self._mind = self._awake(batch.contract)
            events += [ExpertSpawned(expert.number, expert.ridge.weights.size) for expert in self._mind.all()]
        mind = self._mind_for(batch.contract)
        active, statistic = mind.specialists[-1].number, self._detector.statistic
        rows = _rows(batch.inputs)
        seen, opinions = mind.opinions(rows)
        outputs = self._outputs(self._combiner.answer(opinions), batch.contract, batch.inputs.device)
        for i, label in enumerate(batch.targets.tolist()):
            if i:
                seen, opinions = mind.opinions(rows[i : i + 1])
            events += self._take(mind, rows[i], label, (seen[0][0], seen[1][0]), opinions[0], len(rows))
        objective = batch.contract.objective
        loss = objective.loss(outputs, batch.targets)
        return [Update(active, loss, outputs, batch.targets, objective.metric.per_sample, statistic), *events]

    def _take(
        self, mind: Mind, row: Vector, label: int, seen: tuple[Vector, Vector], opinions: Vector, batch: int
    ) -> list[Event]:
        """Everyone in charge learns the label of a row; what follows from how well it was foreseen."""
        mind.surprises.append(-float(np.log(self._combiner.answer(opinions)[label])))
        self._combiner.learn(opinions, label)
        wanted = np.zeros(opinions.shape[1])
        wanted[label] = 1.0
        for expert in mind.learning:
            expert.ridge.learn(seen[expert.recalls], wanted)
        if mind.durations is not None:
            mind.durations.learn(label)
        mind.recall.take(row, label)
        mind.evidence.append((seen[1], label))
        if len(mind.surprises) < self._block:
            return []
        del mind.evidence[: -EVIDENCE * self._block]
        shift = self._detector.update(sum(mind.surprises) / self._block)
        mind.surprises = []
        if shift is None:
            return []
        self._detector.reset()
        since, active = shift.onset * self._block, mind.specialists[-1].number
        # Counted in rows here, in experiences in the record.
        found = ShiftDetected(active, -(-since // batch), shift.statistic, shift.threshold)
        return [found, self._hand_over(mind, since)]

    def _hand_over(self, mind: Mind, since: int) -> Event:
        """Who takes over after a shift: an earlier specialist that clearly explains the rows since, or a child."""
        seen = np.stack([features for features, _ in mind.evidence[-since:]])
        labels = [label for _, label in mind.evidence[-since:]]
        losses = [_log_loss(expert.opinion((seen, seen)), labels) for expert in mind.specialists]
        best = int(np.argmin(losses))
        if losses[best] < CLEARLY * losses[-1]:
            mind.specialists.append(mind.specialists.pop(best))
            return ExpertChosen(mind.specialists[-1].number, min(1.0, losses[best] / losses[-1]))
        parent = mind.specialists[-1]
        child = self._born(mind, recalls=True, forgetting=1.0)
        child.ridge.weights = parent.ridge.weights.copy()
        mind.specialists.append(child)
        if len(mind.all()) + (mind.durations is not None) > self._limit:
            del mind.specialists[0]
        return ExpertSpawned(child.number, child.ridge.weights.size, parent.number)

    def predict(self, query: Query) -> Prediction:
        if self._mind is None:
            chances = np.full((len(query.inputs), query.contract.outputs), 1.0 / query.contract.outputs)
            number = 0
        else:
            mind = self._mind_for(query.contract)
            chances = self._combiner.answer(mind.opinions(_rows(query.inputs))[1])
            number = mind.specialists[-1].number
        outputs = self._outputs(chances, query.contract, query.inputs.device)
        return Prediction(outputs, torch.full((len(outputs),), number, dtype=torch.int64, device=outputs.device))

    def _outputs(self, chances: Vector, contract: Contract, device: torch.device) -> Tensor:
        """Log chances as logits: their softmax is the answer."""
        return contract.restrict(torch.from_numpy(np.log(chances)).float().to(device))

    def size(self) -> Size:
        if self._mind is None:
            return Size(1, 0)
        experts = self._mind.all()
        return Size(
            len(experts) + (self._mind.durations is not None), sum(expert.ridge.weights.size for expert in experts)
        )

    def _mind_for(self, contract: Contract) -> Mind:
        assert self._mind is not None
        if contract is not self._contract and contract != self._contract:
            raise ValueError(
                f"Tracker lives in one table, with {self._contract}, and was given {contract}. Take an agent "
                "for tasks of several kinds, such as flagship."
            )
        return self._mind

    def _awake(self, contract: Contract) -> Mind:
        """The experts to begin with, as the first row's contract asks for them."""
        if not isinstance(contract.objective, Classification) or contract.outputs < 2:
            raise ValueError(
                f"Tracker tells classes apart, 2 or more; the stream asks for {contract.objective.name} with "
                f"{contract.outputs} output(s). Take another agent, such as finetune."
            )
        self._contract = contract
        columns, classes = prod(contract.input_shape), contract.outputs
        recall = Recall(columns, classes, self._levels, self._labels)
        # Steps in a label that is 0 or 1 would say nothing new.
        steep = recall.features - self._labels * classes
        views = (
            Features(columns, columns, self._hidden, self._seed),
            Features(recall.features, steep, self._hidden, self._seed),
        )
        mind = Mind(recall, views, Durations(classes) if self._labels else None)
        mind.specialists.append(self._born(mind, recalls=True, forgetting=1.0))
        mind.founders += [self._born(mind, True, fading) for fading in self._forgetting]
        mind.founders += [self._born(mind, False, fading) for fading in (1.0, *self._forgetting)]
        self._combiner.begin(len(mind.learning) + (mind.durations is not None))
        return mind

    def _born(self, mind: Mind, recalls: bool, forgetting: float) -> Expert:
        mind.born += 1
        assert self._contract is not None
        ridge = RecursiveRidge(mind.views[recalls].count, self._contract.outputs, forgetting, self._ridge)
        return Expert(mind.born - 1, recalls, ridge)

    def state_dict(self) -> dict[str, Any]:
        return {
            "contract": self._contract,
            "mind": None if self._mind is None else self._mind.state_dict(),
            "combiner": self._combiner.state_dict(),
            "detector": self._detector.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._mind, self._contract = None, state["contract"]
        if state["mind"] is not None:
            self._mind = self._awake(state["contract"])
            self._mind.load_state_dict(state["mind"])
        self._combiner.load_state_dict(state["combiner"])
        self._detector.load_state_dict(state["detector"])


def _rows(inputs: Tensor) -> Vector:
    """(B, ...) on any device -> (B, D) float64."""
    rows: Vector = inputs.detach().flatten(1).cpu().double().numpy()
    return rows


def _log_loss(chances: Vector, labels: Sequence[int]) -> float:
    return -float(np.log(chances[np.arange(len(labels)), labels]).mean())
