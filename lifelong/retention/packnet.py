"""PackNet: each task has weights of its own in one network (Mallya and Lazebnik 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from lifelong.experience import Batch
from lifelong.objective import Contract
from lifelong.retention.layers import runs
from lifelong.retention.method import Keeper, Silent, Stored, positive, whole
from lifelong.retention.model import Model, bytes_of
from lifelong.retention.needs import Needs


@dataclass(frozen=True, slots=True)
class PackNet:
    """Freezes the largest weights of each task, and leaves the others to those that follow (Mallya and Lazebnik 2018).

    As a task ends, of each matrix or kernel the share `prune` of the weights that no task has yet, the smallest, is set
    to zero and stays free; the others are trained for `retrain` epochs more, on the samples shown, by Adam at rate
    `lr`, and then stand still for ever (sec. 3). Biases, norms and heads of a task's own are not pruned, and stand
    still once the first task that used them has ended. Running statistics of norms are kept for each task.

    A question with the label of a task that has ended is answered by that task's weights and those of tasks before it,
    exactly as when it ended. Without a label, or with that of a task that has not ended, it is answered by all weights,
    and nothing is promised to old tasks. A label that comes again moves nothing: its task has its weights already.
    """

    prune: float = 0.5
    retrain: int = 5
    lr: float = 1e-3

    def __post_init__(self) -> None:
        if not 0.0 < self.prune < 1.0 or not whole(self.retrain, least=0) or not positive(self.lr):
            raise ValueError(
                "prune must be in (0, 1), retrain a whole number of at least 0 epochs and lr positive, got "
                f"prune={self.prune}, retrain={self.retrain}, lr={self.lr}."
            )

    @property
    def needs(self) -> Needs:
        return Needs(ends="found", labels=True)

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model)


class _Keeper(Silent):
    def __init__(self, settings: PackNet, model: Model) -> None:
        self._settings, self._model = settings, model
        # Of each pruned tensor whose each weight is (0: nobody's, 1: the first task's), and what was whole frozen.
        self.owners: dict[str, Tensor] = {}
        self._whole: set[str] = set()
        # Values to be put back, the number of each label's task, and each task's buffers.
        self._kept: dict[str, Tensor] = {}
        self._numbers: dict[str, int] = {}
        self._buffers: list[dict[str, Tensor]] = []

    @torch.no_grad()
    def observe(self, batch: Batch, outputs: Tensor) -> None:
        again = batch.task in self._numbers
        for name, p in self._model.named().items():
            kept = self._kept.get(name)
            if kept is None:
                continue
            if again or name in self._whole:
                p.copy_(kept)
            elif name in self.owners:
                p.copy_(torch.where(self.owners[name] > 0, kept, p))

    def consolidate(self, batches: Sequence[Batch]) -> None:
        if not batches:
            raise ValueError("PackNet retrains what it keeps on samples of the task that ended, got none.")
        last = batches[-1]
        if last.task in self._numbers:
            return
        number = len(self._buffers) + 1
        if last.task is not None:
            self._numbers[last.task] = number
        free = self._prune(last, number)
        self._retrain(batches, free)
        named = self._model.named()
        self._whole |= free.keys() - self.owners.keys()
        self._kept = {name: named[name].detach().clone() for name in (*self.owners, *self._whole)}
        self._buffers.append({name: b.detach().clone() for name, b in self._model.module.named_buffers()})

    def meet(self) -> None:
        """Raises ValueError for weights that are made of others: zeros of these are no zeros of the weight."""
        names = self._model.named()
        made = [name for name in names if ".parametrizations." in f".{name}" or name.endswith(("weight_g", "weight_v"))]
        if made:
            raise ValueError(
                f"PackNet sets weights to zero, and {made[0]!r} is a part from which a weight is made "
                "(torch.nn.utils.parametrize, weight_norm): take this off, or another method, such as ewc."
            )

    def _prune(self, batch: Batch, number: int) -> dict[str, Tensor]:
        """Give this task the largest free weights, zero the others; returns what it may still train, by name."""
        free = {}
        head = {id(p) for p in runs(self._model, batch)[-1].layer.parameters()} if batch.contract.own_head else set()
        for name, p in self._used(batch).items():
            if p.dim() < 2 or id(p) in head:
                if name not in self._whole:
                    free[name] = torch.ones_like(p, dtype=torch.bool)
                continue
            owner = self.owners.setdefault(name, torch.zeros_like(p, dtype=torch.int16))
            vacant = owner == 0
            count = int(vacant.sum())
            keep = count - int(self._settings.prune * count)
            largest = p.detach().abs().masked_fill(~vacant, -1.0).flatten().topk(keep).indices
            owner.view(-1)[largest] = number
            p.data.masked_fill_(owner == 0, 0.0)
            free[name] = owner == number
        return free

    def _used(self, batch: Batch) -> dict[str, torch.nn.Parameter]:
        """The trained parameters that this task's answers come from: parts of other tasks may be there already."""
        named = self._model.named()
        with self._model.evaluating(), torch.enable_grad():
            outputs = self._model.outputs(batch.inputs, batch.contract, batch.task)
            gradients = torch.autograd.grad(outputs.sum(), list(named.values()), allow_unused=True)
        return {name: p for (name, p), gradient in zip(named.items(), gradients, strict=True) if gradient is not None}

    def _retrain(self, batches: Sequence[Batch], free: dict[str, Tensor]) -> None:
        """Train what is `free`, and nothing else, in evaluation mode: norms keep their statistics."""
        named = self._model.named()
        still = {name: named[name].detach().clone() for name in free}
        optimizer = torch.optim.Adam([named[name] for name in free], lr=self._settings.lr)
        with self._model.evaluating():
            for batch in [batch for _ in range(self._settings.retrain) for batch in batches]:
                optimizer.zero_grad(set_to_none=True)
                outputs = self._model.outputs(batch.inputs, batch.contract, batch.task)
                batch.contract.objective.loss(outputs, batch.targets).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                for name, mask in free.items():
                    named[name].data.copy_(torch.where(mask, named[name].detach(), still[name]))
        for p in named.values():
            p.grad = None

    def answer(self, inputs: Tensor, contract: Contract, task: str | None) -> Tensor | None:
        number = self._numbers.get(task) if task is not None else None
        if number is None:
            return None
        # From what is kept: another method may have moved the network since the last step.
        values = {name: self._kept[name] for name in self._whole}
        for name, owner in self.owners.items():
            values[name] = self._kept[name].masked_fill((owner == 0) | (owner > number), 0.0)
        given = (inputs, *self._model.extras(contract, task))
        found: Tensor = functional_call(self._model.module, values | self._buffers[number - 1], given)
        return found

    def stored(self) -> Stored:
        buffers = [b for task in self._buffers for b in task.values()]
        return Stored(0, bytes_of([*self.owners.values(), *self._kept.values(), *buffers]))

    def state_dict(self) -> dict[str, Any]:
        return {
            "owners": {name: owner.clone() for name, owner in self.owners.items()},
            "whole": sorted(self._whole),
            "kept": dict(self._kept),
            "numbers": dict(self._numbers),
            "buffers": [dict(task) for task in self._buffers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.owners = {name: owner.clone() for name, owner in state["owners"].items()}
        self._whole, self._numbers = set(state["whole"]), dict(state["numbers"])
        self._kept = {name: value.clone() for name, value in state["kept"].items()}
        self._buffers = [{name: b.clone() for name, b in task.items()} for task in state["buffers"]]
