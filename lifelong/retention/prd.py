"""Prototype-sample relation distillation (Asadi et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.method import Keeper, Silent, Stored, positive
from lifelong.retention.model import Model, bytes_of
from lifelong.retention.needs import Needs

Space = Literal["outputs", "features"]

UNMET = -1e4
"""The output for a class that was never met: below every other, and a number."""


@dataclass(frozen=True, slots=True)
class Prd:
    """Learns features by contrast and a prototype for each class, and keeps old prototypes in place by their relations.

    The loss, in place of the task's own, is L_SC + `alpha` L_P + `beta` L_D (Asadi et al. 2023, sec. 3). L_SC: the
    supervised contrastive loss at `temperature` (Khosla et al. 2020, L_out). Samples are not augmented: a sample's
    views are the others of its class in the batch, and who has none is no anchor. space: where they are contrasted;
    "outputs": the network's own last layer, which answers nothing here, is the projection of the paper, and features
    need not collapse to what this task asks; "features" draws these themselves together. L_P: 1 - cosine of a sample's
    feature and its class's prototype, which moves this prototype and nothing else. L_D: for each class met before this
    task, the divergence of the softmax over the batch's samples of feature times the prototype's direction, of the
    network and prototypes as the last task ended from that of now, at `softness`; mean over classes. Prototypes begin
    as the mean of their class in its first batch, and move by gradient descent at rate `lr`, whatever factor (that of a
    GradScaler) the whole loss is multiplied by; where their gradients overflow, they stay. Answers are cosines.

    Made for tasks with classes of their own: where the same classes come with other inputs, prototypes follow these,
    and little is learned. The network's own outputs answer nothing, so their loss is no surprise and no detector finds
    an end by it: ends must be shown.
    Raises ValueError, as it learns, for tasks without classes.
    """

    alpha: float = 2.0
    beta: float = 4.0
    temperature: float = 0.1
    softness: float = 0.1
    lr: float = 0.5
    space: Space = "outputs"

    def __post_init__(self) -> None:
        if not positive(self.alpha, self.temperature, self.softness, self.lr) or not 0.0 <= self.beta < math.inf:
            raise ValueError(
                f"alpha, temperature, softness and lr must be positive and beta at least 0, got alpha={self.alpha}, "
                f"temperature={self.temperature}, softness={self.softness}, lr={self.lr}, beta={self.beta}."
            )
        if self.space not in get_args(Space):
            raise ValueError(f"space must be one of {', '.join(get_args(Space))}, got {self.space!r}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="shown", classes=True)

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


Group = tuple[int, str | None]
"""Outputs, and the task where each has a head of its own: what a class's number means."""


@dataclass(slots=True)
class Prototypes:
    """(C, F) prototypes and (C,) which classes were met; `old` are those of when the last task ended."""

    values: Tensor
    met: Tensor
    old: tuple[Tensor, Tensor] | None = None

    def welcome(self, features: Tensor, targets: Tensor) -> None:
        """Begin the prototypes of classes that are met for the first time."""
        members = F.one_hot(targets, len(self.met)).to(features.dtype)
        present = members.sum(0) > 0
        means = F.normalize(members.T @ F.normalize(features, dim=1), dim=1)
        with torch.no_grad():
            self.values.copy_(torch.where((present & ~self.met)[:, None], means, self.values))
            self.met |= present


class _Keeper(Silent):
    def __init__(self, settings: Prd, model: Model) -> None:
        self._settings, self._model = settings, model
        self.groups: dict[Group, Prototypes] = {}
        self._then: Model | None = None
        # What tasks that ended asked for, in the order in which they did so first.
        self._ended: list[tuple[Contract, str | None]] = []
        self._unit: Tensor | None = None

    def objective(self, batch: Batch, outputs: Tensor) -> Tensor:
        settings, key = self._settings, _group(batch.contract, batch.task)
        features = self._model.features(batch.inputs, batch.contract, batch.task)
        if key not in self.groups:
            empty = features.new_zeros((batch.contract.outputs, features.shape[1])).requires_grad_()
            self.groups[key] = Prototypes(empty, torch.zeros(len(empty), dtype=torch.bool, device=empty.device))
        group = self.groups[key]
        group.welcome(features.detach(), batch.targets)
        near = F.cosine_similarity(features.detach(), group.values[batch.targets])
        if batch.contract.mask is not None:
            outputs = outputs[:, list(batch.contract.mask)]
        space = outputs if settings.space == "outputs" else features
        total = contrast(space, batch.targets, settings.temperature) + settings.alpha * (1.0 - near).mean()
        if self._unit is None or self._unit.device != total.device:
            self._unit = torch.zeros((), device=total.device, requires_grad=True)
        # Adds nothing; its gradient is the factor that the loss was multiplied by on its way back.
        total = total + self._unit
        return total + settings.beta * self._relations(batch, features) if settings.beta else total

    def _relations(self, batch: Batch, features: Tensor) -> Tensor:
        known = [group for group in self.groups.values() if group.old is not None]
        asked = self._asked(batch)
        if self._then is None or not known or asked is None:
            return features.new_zeros(())
        with torch.no_grad():
            before = self._then.features(batch.inputs, *asked)
        terms, counts = [], []
        for group in known:
            assert group.old is not None
            values, met = group.old
            wanted, said = (
                (f @ F.normalize(p, dim=1).T / self._settings.softness).log_softmax(0)
                for f, p in ((before, values), (features, group.values))
            )
            terms.append((F.kl_div(said, wanted, reduction="none", log_target=True).sum(0) * met).sum())
            counts.append(met.sum())
        return torch.stack(terms).sum() / torch.stack(counts).sum()

    def _asked(self, batch: Batch) -> tuple[Contract, str | None] | None:
        """As whose batch the copy of the network is given it, which may lack this task's head; None: not at all."""
        own = batch.contract, batch.task
        alike = [kind for kind in self._ended if kind[0].input_shape == batch.contract.input_shape]
        if not alike:
            return None
        return own if own in alike or not batch.contract.own_head else alike[-1]

    @torch.no_grad()
    def bend(self) -> None:
        if self._unit is None or self._unit.grad is None:
            return
        for group in self.groups.values():
            if group.values.grad is not None:
                gradient = group.values.grad / self._unit.grad
                # A GradScaler leaves out the step of what overflowed.
                group.values -= self._settings.lr * torch.where(gradient.isfinite().all(), gradient, 0.0)
                group.values.grad = None
        self._unit.grad = None

    def consolidate(self, batches: Sequence[Batch]) -> None:
        self._then = self._model.twin()
        for batch in batches:
            kind = batch.contract, batch.task if batch.contract.own_head else None
            if kind not in self._ended:
                self._ended.append(kind)
        for group in self.groups.values():
            group.old = group.values.detach().clone(), group.met.clone()

    def answer(self, inputs: Tensor, contract: Contract, task: str | None) -> Tensor | None:
        group = self.groups.get(_group(contract, task))
        if group is None or not isinstance(contract.objective, Classification):
            return None
        features = F.normalize(self._model.features(inputs, contract, task), dim=1)
        near = features @ F.normalize(group.values.detach(), dim=1).T
        return contract.restrict(near.masked_fill(~group.met, UNMET))

    def tensors(self) -> list[Tensor]:
        # Before the first step there are none: what stands for them is spread over all when it is put back, and then
        # no class was met.
        live = [tensor for group in self.groups.values() for tensor in (group.values.detach(), group.met)]
        return live or [torch.zeros(()), torch.zeros((), dtype=torch.bool)]

    def stored(self) -> Stored:
        mine = [t for group in self.groups.values() for t in (group.values, group.met, *(group.old or ()))]
        return Stored(0, bytes_of(mine) + (0 if self._then is None else self._then.bytes()))

    def state_dict(self) -> dict[str, Any]:
        return {
            "groups": [
                (key, group.values.detach().clone(), group.met.clone(), group.old) for key, group in self.groups.items()
            ],
            "then": None if self._then is None else self._then.module.state_dict(),
            "ended": list(self._ended),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.groups = {}
        for (outputs, task), values, met, old in state["groups"]:
            kept = None if old is None else (old[0].clone(), old[1].clone())
            self.groups[outputs, task] = Prototypes(values.clone().requires_grad_(), met.clone(), kept)
        self._then = None if state["then"] is None else self._model.twin_of(state["then"])
        self._ended = [(contract, task) for contract, task in state["ended"]]


def contrast(values: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """(B, F) numbers -> the mean over anchors of the mean over their views of minus the log-chance of the view."""
    directions = F.normalize(values, dim=1)
    itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    likeness = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
    chances = (likeness - likeness.logsumexp(1, keepdim=True)).masked_fill(itself, 0.0)
    views = ((targets[:, None] == targets) & ~itself).to(values.dtype)
    each = -(chances * views).sum(1) / views.sum(1).clamp_min(1.0)
    return each.sum() / (views.sum(1) > 0).sum().clamp_min(1)


def _group(contract: Contract, task: str | None) -> Group:
    return contract.outputs, task if contract.own_head else None
