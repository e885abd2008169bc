"""One network and the methods that keep it from forgetting: the step of training, and the end of a task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.experience import Batch
from lifelong.objective import Contract
from lifelong.retention.implicit import Implicit
from lifelong.retention.method import (
    Answering,
    Curved,
    Halting,
    Keeper,
    Limited,
    Projecting,
    Reading,
    Redefining,
    Restarting,
    Retention,
    Settling,
    Stored,
)
from lifelong.retention.model import Model
from lifelong.retention.needs import check
from lifelong.retention.quadratic import Named


class Retained:
    """Any number of retention methods at work on one network; their order makes no difference to what each promises.

    model: a module that answers inputs with outputs, or a `Model` that says more. Follow a `step`: `loss`, the backward
    pass, `bend`, the optimizer's step, `observe`, `restart`. When a task has ended, show `consolidate` samples of it.
    Raises ValueError where two of the methods would replace the same thing, such as the loss or the answers.
    """

    def __init__(self, model: Model | nn.Module, methods: Sequence[Retention], seed: int = 0) -> None:
        self.model = model = model if isinstance(model, Model) else Model(model)
        if not isinstance(methods, list | tuple) or not all(hasattr(m, "keeper") for m in methods):
            raise ValueError(f"methods must be a list of retention methods, such as [Er(), Ewc()], got {methods!r}.")
        unmade = [method.__name__ for method in methods if isinstance(method, type)]
        if unmade:
            raise ValueError(f"A method must be made first, as in {unmade[0]}(): got the class itself.")
        self.keepers: list[Keeper] = [method.keeper(model, seed + place) for place, method in enumerate(methods)]
        self._names = [type(method).__name__ for method in methods]
        redefining = [(k, n) for k, n in zip(self.keepers, self._names, strict=True) if isinstance(k, Redefining)]
        answering = [(k, n) for k, n in zip(self.keepers, self._names, strict=True) if isinstance(k, Answering)]
        projecting = [(k, n) for k, n in zip(self.keepers, self._names, strict=True) if isinstance(k, Projecting)]
        for what, found in (
            ("replace the loss of new batches by their own", redefining),
            ("replace the answers by their own", answering),
            ("have the last word on the gradient", projecting),
        ):
            if len(found) > 1:
                raise ValueError(f"{' and '.join(name for _, name in found)} each {what}: take one of them.")
        self._reading = [keeper for keeper in self.keepers if isinstance(keeper, Reading)]
        self._projecting = projecting[0][0] if projecting else None
        self._implicit = Implicit([keeper for keeper in self.keepers if isinstance(keeper, Curved)])
        self._restarting = [keeper for keeper in self.keepers if isinstance(keeper, Restarting)]
        self._halting = [keeper for keeper in self.keepers if isinstance(keeper, Halting)]
        settling = [keeper for keeper in self.keepers if isinstance(keeper, Settling)]
        self._settling = sorted(settling, key=lambda keeper: keeper.freezes)
        self._objective = redefining[0][0] if redefining else None
        self._answers = answering[0][0] if answering else None
        self._methods = tuple(methods)
        self._checked: tuple[Contract, str | None] | None = None
        self._met: set[str] = set()
        self.meet()

    def step(self, optimizer: torch.optim.Optimizer, batch: Batch, outputs: Tensor, own: Tensor | None = None) -> None:
        """One step on a batch whose outputs were made in training mode; gradients must have been cleared."""
        self.loss(batch, outputs, own).backward()  # type: ignore[no-untyped-call]
        self.bend(optimizer)
        optimizer.step()
        self.observe(batch, outputs.detach())
        self.restart(optimizer)

    def meet(self) -> None:
        """The network has its parameters, or others are trained now; a step that finds others calls it by itself."""
        self._met = set(self.model.named())
        for keeper in self.keepers:
            keeper.meet()
        self._implicit.forget()

    def _meet_new(self, named: Named) -> None:
        if named.keys() != self._met:
            self.meet()

    def loss(self, batch: Batch, outputs: Tensor, own: Tensor | None = None) -> Tensor:
        """What to descend on this batch: its own loss, or a method's in place of it, and all terms.

        Raises ValueError where a method cannot do anything for batches like this one.
        """
        seen = self._checked
        if seen is None or seen[0] is not batch.contract or seen[1] != batch.task:
            # Whoever calls `consolidate` knows where tasks end.
            check(self._methods, "shown", batch)
            self._checked = batch.contract, batch.task
        if self._objective is not None:
            own = self._objective.objective(batch, outputs)
        total = batch.contract.objective.loss(outputs, batch.targets) if own is None else own
        for keeper in self.keepers:
            term = keeper.loss(batch, outputs)
            if term is not None:
                total = total + term
        return total

    def bend(self, optimizer: torch.optim.Optimizer) -> None:
        """Gradients are there: those who must see them as they came, those who change them, who has the last word.

        optimizer: who will make the step; where a penalty is steep for its rates, gradients are made smaller.
        """
        named = self.model.named()
        self._meet_new(named)
        for reading in self._reading:
            reading.read()
        for keeper in self.keepers:
            keeper.bend()
        self._implicit.divide(named, optimizer)
        if self._projecting is not None:
            self._projecting.project()

    def observe(self, batch: Batch, outputs: Tensor) -> None:
        for keeper in self.keepers:
            keeper.observe(batch, outputs)

    def restart(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer has stepped: some methods draw weights anew that have become useless, and clear its moments."""
        for keeper in self._restarting:
            keeper.restart(optimizer)

    def consolidate(self, batches: Iterable[Batch]) -> tuple[str, ...]:
        """A task has ended; these are samples of it. Raises ValueError where there are none.

        Returns the names of methods that have no room left by that for tasks to come, such as PackNet's.
        """
        shown = [] if isinstance(batches, Batch) else list(batches)
        if not shown or not all(isinstance(batch, Batch) for batch in shown):
            got = type(shown[0]).__name__ if shown else "a single one" if isinstance(batches, Batch) else "none"
            raise ValueError(
                f"consolidate takes samples of the task that ended, one lifelong.Batch or more in a list, got {got}."
            )
        before = self._spent()
        self._meet_new(self.model.named())
        for halting in self._halting:
            halting.halt()
        for settling in self._settling:
            settling.settle(shown)
        for keeper in self.keepers:
            keeper.consolidate(shown)
        self._implicit.forget()
        return tuple(name for name in self._spent() if name not in before)

    def _spent(self) -> list[str]:
        named = zip(self.keepers, self._names, strict=True)
        return [name for keeper, name in named if isinstance(keeper, Limited) and keeper.is_spent()]

    @torch.no_grad()
    def predict(self, inputs: Tensor, contract: Contract, task: str | None = None) -> Tensor:
        """(B, ...) inputs -> (B, C) outputs, in evaluation mode: of the network, or of a method that answers for it."""
        with self.model.evaluating():
            said = self.answer(inputs, contract, task)
            return self.model.outputs(inputs, contract, task) if said is None else said

    @torch.no_grad()
    def answer(self, inputs: Tensor, contract: Contract, task: str | None = None) -> Tensor | None:
        """What a method answers in the network's place, in evaluation mode; None where none does."""
        return None if self._answers is None else self._answers.answer(inputs, contract, task)

    def retract(self, samples: int) -> None:
        for keeper in self.keepers:
            keeper.retract(samples)

    def stored(self) -> Stored:
        return sum((keeper.stored() for keeper in self.keepers), Stored(0, self._implicit.bytes()))

    def tensors(self) -> list[Tensor]:
        return [t for keeper in self.keepers for t in keeper.tensors()]

    def state_dict(self) -> dict[str, Any]:
        return {"names": list(self._names), "keepers": [keeper.state_dict() for keeper in self.keepers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; the model must have been restored. ValueError for one of other methods."""
        if state["names"] != self._names:
            raise ValueError(f"This state is of {state['names']}, and these are {self._names}: make the same methods.")
        for keeper, kept in zip(self.keepers, state["keepers"], strict=True):
            keeper.load_state_dict(kept)
        self._implicit.forget()
