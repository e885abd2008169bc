"""TAME: a small expert for each world, found by losses, and a selector trained on kept samples.

Source: Zhu et al., TAME: Task Agnostic Continual Learning using Multiple Experts, CVPR-W 2024, arXiv 2210.03869.
Follow one batch through `learn`. Where the paper evaluates every expert on every batch, the resting ones are asked here
only once the active one is surprised: nothing else that they would say is ever used, so the outcome is the same.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.events import Event, ExpertChosen, ExpertSpawned, ShiftDetected, Update
from lifelong.experience import Batch, Prediction, Query
from lifelong.fit import Fit
from lifelong.learner import Size
from lifelong.lenet import LeNet
from lifelong.network import Network
from lifelong.objective import Contract
from lifelong.optimizer import Optimizer
from lifelong.pruning import Pruner
from lifelong.reservoir import Reservoir
from lifelong.selector import Selector, train_selector
from lifelong.shift.loss_band import Band
from lifelong.thinning import Thinning, thin
from lifelong.whole import whole
from lifelong_agents.tame_expert import TameExpert

SGD = Optimizer("sgd", lr=0.1, momentum=0.9, weight_decay=5e-4)
GENTLE = Optimizer("sgd", lr=0.001, momentum=0.9, weight_decay=1e-4)
LENET, BAND, EXPERT_THINNING = LeNet(), Band(), Thinning(0.98, biases="prune")
SELECTOR_FIT = Fit(200, optimizer=SGD, milestones=())
SELECTOR_THINNING = Thinning(0.5, fit=Fit(200, optimizer=GENTLE))


class Tame:
    """Task-agnostic experts with pruning and a trained selector (Zhu et al. 2022); classification in one head.

    network: of each expert. selector: the network that routes. band: when a loss is another world's. milestones:
    updates of an expert at which its learning rate falls to `gamma` of what it was (by default after 60, 120, 160 and
    230 epochs of MNIST).
    thinning, selector_thinning: how experts are made small once another takes over, and the selector (null: not at
    all). selector_fit: how the selector is trained. capacity: samples kept for it; thinning_capacity: latest world's
    samples kept to retrain an expert on. What answers is made when it is asked for, from the state, and kept until
    something is learned. `nonzero` in its size are the numbers that answer, selector included.
    """

    threshold = 1.0

    def __init__(
        self,
        network: Network = LENET,
        selector: Network = LENET,
        optimizer: Optimizer = SGD,
        band: Band = BAND,
        milestones: tuple[int, ...] = (28140, 56280, 75040, 107870),
        gamma: float = 0.2,
        thinning: Thinning | None = EXPERT_THINNING,
        selector_fit: Fit = SELECTOR_FIT,
        selector_thinning: Thinning | None = SELECTOR_THINNING,
        capacity: int = 5000,
        thinning_capacity: int = 6000,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if not 0.0 < gamma <= 1.0 or any(at < 1 for at in milestones):
            raise ValueError(
                f"milestones are updates from 1 on and gamma is in (0, 1], got milestones={list(milestones)}, "
                f"gamma={gamma}."
            )
        self._network, self._selector_network, self._optimizer, self._band = network, selector, optimizer, band
        self._milestones, self._gamma = milestones, gamma
        self._thinning, self._selector_fit, self._selector_thinning = thinning, selector_fit, selector_thinning
        self._seed, self._device = seed, device
        self._kept = Reservoir(capacity, seed)
        self._lately = Reservoir(thinning_capacity, seed + 1)
        self._experts: list[TameExpert] = []
        self._active: TameExpert | None = None
        self._contract: Contract | None = None
        # Made from the state when needed, and no part of it.
        self._selector: tuple[int, Selector] | None = None
        self._small: tuple[int, int, torch.nn.Module, Pruner] | None = None

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        self._check(batch.contract)
        events: list[Event] = []
        expert = self._active
        if expert is None:
            expert = self._active = self._spawn(batch)
            events.append(self._spawned(expert, None))
        expert.module.train()
        outputs, loss = expert.look(batch)
        surprise = expert.band.judge(loss.item())
        if surprise > 1.0 and not expert.band.is_young:
            events.append(ShiftDetected(expert.number, 1, surprise, self.threshold))
            expert = self._active = self._turn(expert, batch, events)
            expert.module.train()
            outputs, loss = expert.look(batch)
        expert.learn(batch, loss)
        if expert.updates in self._milestones:
            for group in expert.optimizer.param_groups:
                group["lr"] *= self._gamma
        self._keep(expert, batch)
        metric = batch.contract.objective.metric
        update = Update(expert.number, loss.detach(), outputs.detach(), batch.targets, metric.per_sample, surprise)
        return (update, *events)

    def _turn(self, expert: TameExpert, batch: Batch, events: list[Event]) -> TameExpert:
        """Make the expert small; who learns this batch: the first that knows it, or a new one."""
        found = self._who_knows(batch, expert)
        self._leave(expert)
        if found is not None:
            events.append(ExpertChosen(found.number, 0.0))
            return found
        new = self._spawn(batch)
        events.append(self._spawned(new, expert))
        return new

    def _check(self, contract: Contract) -> None:
        if self._contract is None:
            if contract.objective.name != "classification":
                raise ValueError(f"TAME serves classification, this stream asks for {contract.objective.name}.")
            self._contract = contract
        elif contract is not self._contract and contract != self._contract:
            raise ValueError(
                f"TAME serves one kind of question, so far {self._contract}, and was now given {contract}. With "
                "scenario labels=never all tasks of such streams ask alike; else choose the agent 'flagship'."
            )

    @torch.no_grad()
    def _who_knows(self, batch: Batch, leaving: TameExpert) -> TameExpert | None:
        """The first expert, in order of creation, in whose band the batch would lie."""
        for expert in self._experts:
            if expert is not leaving:
                expert.module.eval()
                if expert.band.judge(expert.look(batch)[1].item()) < 1.0:
                    return expert
        return None

    def _spawn(self, first: Batch) -> TameExpert:
        # Each starts elsewhere: as published, experts have no common ancestor.
        number = len(self._experts)
        expert = TameExpert(
            number, self._network, first, self._optimizer, self._band, self._seed + 7919 * number, self._device
        )
        self._experts.append(expert)
        return expert

    def _spawned(self, expert: TameExpert, parent: TameExpert | None) -> ExpertSpawned:
        parameters = sum(p.numel() for p in expert.module.parameters())
        return ExpertSpawned(expert.number, parameters, None if parent is None else parent.number)

    def _keep(self, expert: TameExpert, batch: Batch) -> None:
        """Offer the samples to both stores: for the selector evenly over classes, for retraining as they come."""
        classes = batch.contract.outputs
        labels = torch.full_like(batch.targets, expert.number)
        self._kept.add(batch.inputs, labels, expert.number * classes + batch.targets)
        if self._thinning is not None and expert.pruner is None:
            self._lately.add(batch.inputs, batch.targets, torch.zeros_like(labels))

    def _leave(self, expert: TameExpert) -> None:
        """Another world begins: make the expert small for good, on what was kept of its own."""
        if self._thinning is not None and expert.pruner is None and len(self._lately):
            module, pruner = self._made_small(expert)
            expert.module.load_state_dict(module.state_dict())
            # What moved numbers that were dense says nothing about those that are left.
            expert.optimizer.state.clear()
            mine = Pruner(expert.module, self._thinning.scope, self._thinning.biases)
            mine.load_state_dict(pruner.state_dict())
            expert.hold(mine)
        self._lately.clear()
        self._small = None

    def _made_small(self, expert: TameExpert) -> tuple[torch.nn.Module, Pruner]:
        """What the expert would be if it were left now."""
        assert self._thinning is not None
        if self._small is None or self._small[:2] != (expert.number, expert.updates):
            module = copy.deepcopy(expert.module)
            kept = self._lately
            pruner = thin(module, kept.inputs, kept.labels, expert.loss, self._thinning, self._seed + expert.number)
            self._small = (expert.number, expert.updates, module, pruner)
        return self._small[2:]

    def predict(self, query: Query) -> Prediction:
        if not self._experts:
            contract = query.contract
            blank = whole(self._network, contract.input_shape, contract.outputs, self._seed, self._device).eval()
            with torch.no_grad():
                outputs: Tensor = blank(query.inputs)
            return Prediction(outputs, torch.full((len(outputs),), -1, device=outputs.device))
        self._check(query.contract)
        chosen = self._route(query.inputs)
        outputs = query.inputs.new_zeros((len(query.inputs), query.contract.outputs))
        for number in torch.unique(chosen).tolist():
            mine = chosen == number
            outputs[mine] = self._answer(self._experts[number], query.inputs[mine])
        return Prediction(outputs, chosen)

    def _route(self, inputs: Tensor) -> Tensor:
        if len(self._experts) == 1:
            return torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
        return self._trained_selector().choose(inputs)

    def _trained_selector(self) -> Selector:
        if self._selector is None or self._selector[0] != self._kept.version:
            kept = self._kept
            made = train_selector(
                kept.inputs, kept.labels, self._selector_network, self._selector_fit, self._seed,
                self._selector_thinning,
            )  # fmt: skip
            self._selector = (kept.version, made)
        return self._selector[1]

    @torch.no_grad()
    def _answer(self, expert: TameExpert, inputs: Tensor) -> Tensor:
        module: torch.nn.Module = expert.module
        if self._thinning is not None and expert.pruner is None and len(self._lately):
            module = self._made_small(expert)[0]
        module.eval()
        return expert.restrict(module(inputs))

    def size(self) -> Size:
        full = [sum(p.numel() for p in expert.module.parameters()) for expert in self._experts]
        left = [n if self._thinning is None else self._thinning.left(n) for n in full]
        if len(self._experts) > 1:
            assert self._contract is not None
            shape = self._contract.input_shape
            router = whole(self._selector_network, shape, len(self._experts), self._seed)
            full.append(sum(p.numel() for p in router.parameters()))
            left.append(full[-1] if self._selector_thinning is None else self._selector_thinning.left(full[-1]))
        return Size(len(self._experts), sum(full), nonzero=sum(left))

    def state_dict(self) -> dict[str, Any]:
        return {
            "contract": self._contract,
            "experts": [expert.state_dict() for expert in self._experts],
            "active": None if self._active is None else self._active.number,
            "kept": self._kept.state_dict(),
            "lately": self._lately.state_dict(),
        }

    def _blank(self) -> Batch:
        """A batch of one sample, to make an expert whose state is about to be loaded."""
        assert self._contract is not None
        inputs = torch.zeros(1, *self._contract.input_shape, device=self._device)
        return Batch(inputs, torch.zeros(1, dtype=torch.int64, device=self._device), self._contract)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._contract, self._selector, self._small, self._experts = state["contract"], None, None, []
        for kept in state["experts"]:
            expert = self._spawn(self._blank())
            expert.load_state_dict(kept)
            if kept["pruner"] is not None:
                assert self._thinning is not None
                pruner = Pruner(expert.module, self._thinning.scope, self._thinning.biases)
                pruner.load_state_dict(kept["pruner"])
                expert.hold(pruner)
        self._active = None if state["active"] is None else self._experts[state["active"]]
        self._kept.load_state_dict(state["kept"])
        self._lately.load_state_dict(state["lately"])
