"""Keep what a torch module has learned, whatever it is made of and whatever optimizer moves it.

    protection = Protection(model)             # or Protection(model, Sgp()), Protection(model, Osft()), ...
    protection.consolidate(batches)            # what this task uses shall stay
    handle = protection.attach(optimizer)      # every step spares it; handle.detach() ends that

A parameter is protected where torch showed it as a linear map of data, frozen where it was used in any other way, and
free where no task has used it yet. `print(protection.report())` says which, for each of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lifelong.subspace.choose import Wish
from lifelong.subspace.corrections import Corrections, PerTask
from lifelong.subspace.cost import Form
from lifelong.subspace.feeling import feel_hold
from lifelong.subspace.gpm import Gpm
from lifelong.subspace.guards import holds_for
from lifelong.subspace.ledger import Ledger
from lifelong.subspace.method import Method
from lifelong.subspace.parametrized import shown
from lifelong.subspace.report import Growth, Report
from lifelong.subspace.subject import Apart, Parts, Subject, nothing
from lifelong.subspace.telling import Attached, report_of
from lifelong.subspace.watch import Watch, running
from lifelong.updates.attach import Handle
from lifelong.updates.hold import Hold
from lifelong.updates.quiet import optimizers_are_quiet

Norms = Literal["freeze", "refuse"]


class Protection:
    """What one model must not unlearn, by a subspace method (GPM unless another is given).

    model: a module, or a function that gives its parts as (name, module), for models that grow. norms: what to do with
    layers whose running statistics move with every batch (BatchNorm): "freeze" holds them at what they were at the
    first consolidation, in training too; "refuse" raises ValueError. Affine parameters of norms are frozen. apart:
    gives modules inside the model that tasks do not share, such as norms of their own: nothing in them is protected.
    """

    def __init__(
        self, model: nn.Module | Parts, method: Method | None = None, norms: Norms = "freeze", apart: Apart = nothing
    ) -> None:
        if not callable(model):
            raise ValueError(f"What is protected is a torch module or a function that gives parts, got {model!r}.")
        if isinstance(method, type):
            raise ValueError(f"method must be made first, as in {method.__name__}(), got the class itself.")
        if method is not None and not hasattr(method, "keeper"):
            raise ValueError(f"method must be a subspace method, such as lifelong.Gpm(), got {method!r}.")
        if norms not in ("freeze", "refuse"):
            raise ValueError(f"norms must be 'freeze' or 'refuse', got {norms!r}.")
        self._subject = Subject(model, apart)
        self._method, self._norms = method if method is not None else Gpm(), norms
        self._ledger = Ledger(self._method)
        self._moved: set[str] = set()
        self._still: set[str] = set()
        self._attached: list[Attached] = []
        self._begun = False
        self._corrections = Corrections()

    @property
    def form(self) -> Form | None:
        """How the method wants steps to be held."""
        return self._method.form

    @property
    def tasks(self) -> int:
        """How many were consolidated."""
        return len(self._corrections)

    @property
    def feels(self) -> bool:
        """Whether the method learns from gradients, and must have watched a batch before the first `attach`."""
        return self._method.feels

    def refuses(self) -> str | None:
        """Why this model cannot be protected; None where it can."""
        moving = self._subject.moving()
        if self._norms == "freeze" or not moving:
            return None
        name, norm = next(iter(moving.items()))
        kind = "BatchNorm" if isinstance(norm, nn.modules.batchnorm._BatchNorm) else "InstanceNorm"
        return (
            f"{name}: {kind}'s running statistics move with every batch, so nothing that passes it can be "
            "protected. Use GroupNorm or LayerNorm, or let its statistics be frozen (norms='freeze'), or experts that "
            "share nothing (share: never)."
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, whatever passes the model is what `consolidate` will keep: its training, say, or samples of it."""
        refusal = self.refuses()
        if refusal is not None:
            raise ValueError(refusal)
        subject, ledger, ran = self._subject, self._ledger, Counter[str]()
        made = subject.made()
        ledger.next_pass()
        root = subject.root()
        hooks = [] if root is None else [root.register_forward_pre_hook(lambda *_: ledger.next_pass())]
        try:
            # A compiled model runs as it was written: calls inside a compiled graph would not be seen.
            eager, watch = torch.compiler.set_stance("force_eager"), Watch(subject.named(), ledger)
            with eager, optimizers_are_quiet(), watch, shown(made.values(), watch), running(subject.modules(), ran):
                yield
        finally:
            for hook in hooks:
                hook.remove()
            self._moved |= {name for name in (subject.moving() | subject.unsteady()) if ran[name]}
            ledger.met.update(part for whole in made.values() if whole.name in ledger.met for part in whole.parts)
            for name, why in subject.unseen(ran, ledger.met):
                ledger.misunderstood(name, why)
            ledger.compare([(name, ran[owner]) for owner, name, _ in subject.linears() if ran[owner]])

    def next_pass(self) -> None:
        """While watching parts: another forward pass begins, whose first layer sees the data."""
        self._ledger.next_pass()

    @torch.no_grad()
    def consolidate(
        self, batches: Iterable[Any] | None = None, forward: Callable[[Any], object] | None = None
    ) -> list[Growth]:
        """Protect what was watched, and what these batches use; returns how each layer's protection stands now.

        batches: one batch (a tensor, samples first), or many: tensors, dicts of keyword arguments, or tuples of which
        the model is given the first member, such as a DataLoader's; `forward` replaces the model for other kinds. They
        run once, in evaluation mode. Steps of what is attached raise from then on: attach anew. Raises ValueError
        where nothing has passed the model since the last time, or what passed was not finite; then all is as before.
        """
        if batches is not None:
            self._show(batches, forward)
        self._ledger.check_news()
        self._still |= self._moved
        self._ledger.settle(self._subject.named(), self._subject.made())
        self._corrections.record(self._ledger.kept())
        self._begun = False
        for one in self._attached:
            one.handle.refuse("A task was consolidated since this was attached, and would not be spared: attach anew.")
        return self.protected()

    def begin(
        self,
        batches: Iterable[Any],
        forward: Callable[[Any], object] | None = None,
        loss: Callable[[Any], Tensor] | None = None,
    ) -> None:
        """Show the first data of a task to methods that look ahead (InfLora, OLora, Trgp), before `attach`.

        Takes batches as `consolidate` does. loss: gives the loss of a batch, for methods that look at its gradient
        (Trgp). For all other methods it does nothing.
        """
        if not self._method.looks_ahead:
            return
        batches = [batches] if torch.is_tensor(batches) else list(batches)
        for one in self._attached:
            one.handle.retire()
        self._corrections.strip(self._ledger.kept(), self._subject.named())
        with torch.no_grad():
            self._show(batches, forward)
        if loss is not None:
            self._ledger.feel(self._subject.gradients(batches, loss))
        self._ledger.begin()
        self._begun = True

    @contextmanager
    def as_of(self, task: int) -> Iterator[None]:
        """Inside, the model answers for one consolidated task (counted from 0), and cannot be trained.

        Only methods that need the task at judging (Trgp) give their model other weights for it. Afterwards all is as
        before, to the bit. Raises ValueError for a task that was not consolidated.
        """
        if not -self.tasks <= task < self.tasks:
            known = f"Tasks 0 to {self.tasks - 1} were" if self.tasks else "No task was"
            raise ValueError(f"{known} consolidated, got {task}.")
        with ExitStack() as stack:
            for one in self._attached:
                stack.enter_context(one.handle.aside())
            stack.enter_context(self._corrections.of(task, self._ledger.kept(), self._subject.named()))
            yield

    def _show(self, batches: Iterable[Any], forward: Callable[[Any], object] | None) -> None:
        run = forward if forward is not None else self._subject.run
        with self._subject.evaluating(), self.watching():
            for batch in [batches] if torch.is_tensor(batches) else batches:
                run(batch)

    def holds(self, optimizer: torch.optim.Optimizer, wish: Wish) -> list[Hold]:
        """What has to be held of this optimizer's steps, as the protection stands now; none before a consolidation."""
        return self._held(optimizer, wish)[0]

    def _held(self, optimizer: torch.optim.Optimizer, wish: Wish) -> tuple[list[Hold], dict[str, str]]:
        subject = self._subject
        still = [module for name, module in (subject.moving() | subject.unsteady()).items() if name in self._still]
        # Only a model that is handed over whole may have its layers' forward passes replaced.
        linears = {} if subject.model is None else {weight: layer for _, weight, layer in subject.linears()}
        wish = wish if wish.form is not None else replace(wish, form=self._method.form)
        if any(isinstance(account.keeper, PerTask) for account in self._ledger.kept()):
            wish = replace(wish, in_place=True)
        named = subject.named()
        holds, told = holds_for(self._ledger, named, subject.made(), still, linears, optimizer, wish)
        if not self._method.feels:
            return holds, told
        return [feel_hold(type(self._method).__name__, self._ledger, named, optimizer), *holds], told

    def attach(
        self,
        optimizer: torch.optim.Optimizer,
        form: Form | None = None,
        every: int | None = None,
        rows: int | None = None,
    ) -> Handle:
        """Hold every step of `optimizer` to what is protected now; to be called anew after each consolidation.

        A model whose parts have optimizers of their own takes one call for each. form, every: how each weight is held,
        and after how many steps it is retracted; None: what costs least time (see `lifelong.subspace.cost`) for `rows`
        rows per step, or as many as were watched. Whatever the form, protection is exact whenever the model answers in
        evaluation mode, and whenever its state or the optimizer's is saved; for anything else that reads the weights
        between steps, call `handle.sync()` before. every=1 is exact at all times. "null" trains a parameter of its own,
        which joins layer and optimizer: lists of parameters that were made before do not have it.

        Moments of earlier steps are forgotten: they belong to the task before. Optimizers that divide by moments (Adam
        and its like) are shown permitted gradients alone; with form="gradient" `p.grad` itself is projected as the step
        begins. Schedules, clipping, accumulation and gradient scaling work as ever.
        """
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ValueError(f"attach takes a torch optimizer, got {type(optimizer).__name__}.")
        wish = Wish(form, every, rows)
        if form in ("input", "null") and any(isinstance(a.keeper, PerTask) for a in self._ledger.kept()):
            name = type(self._method).__name__
            raise ValueError(f"{name} has other weights for each task, which form={form!r} cannot show: leave it out.")
        if self._method.looks_ahead and self._ledger.kept() and not self._begun:
            raise ValueError(
                f"{type(self._method).__name__} must see the first data of a task before its steps are held: call "
                "protection.begin(batches) between `consolidate` and `attach`."
            )
        for one in self._attached:
            if one.optimizer is optimizer:
                one.handle.detach()
        self._attached = [one for one in self._attached if one.optimizer is not optimizer]
        mine = {id(p) for p in self._subject.named().values()}
        shared = [p for group in optimizer.param_groups for p in group["params"] if id(p) in mine]
        if not shared:
            raise ValueError(
                "None of the optimizer's parameters belongs to the model that is protected: nothing could be held. "
                "Make the optimizer from the parameters of that model."
            )
        for p in shared:
            optimizer.state.pop(p, None)
        self._corrections.strip(self._ledger.kept(), self._subject.named())
        holds, told = self._held(optimizer, wish)
        concerned, named = self._ledger.concerned(), self._subject.named()
        idle = [p for name, p in named.items() if name in concerned and not p.requires_grad]
        handle = Handle(optimizer, holds, self._subject.root(), idle)
        self._attached.append(Attached(optimizer, handle, told))
        return handle

    def protected(self) -> list[Growth]:
        """How each layer's protection stands; the energy is that of the latest task that used the layer."""
        return [
            Growth(a.site.weight.removesuffix(".weight"), a.keeper.rank, a.keeper.size, a.energy)
            for a in self._ledger.kept()
            if a.energy is not None
        ]

    def used(self) -> float:
        """Share (0..1) of all directions that are protected, in the fullest layer."""
        return max((growth.rank / growth.size for growth in self.protected()), default=0.0)

    def report(self) -> Report:
        """What is kept of each parameter, and how its steps are held now."""
        return report_of(self._subject, self._ledger, type(self._method).__name__, self._attached)

    def state_dict(self) -> dict[str, Any]:
        """Everything that was consolidated. To go on: load the model, then this, attach, and load the optimizer."""
        corrections = self._corrections.state_dict()
        begun = {"still": sorted(self._still), "begun": self._begun}
        return {"ledger": self._ledger.state_dict(), "corrections": corrections, **begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what a `state_dict` holds; ValueError where it is of another method or model. Attach anew after."""
        self._ledger.check(state.get("ledger", {}), self._subject)
        self._still, self._begun = set(state["still"]), state["begun"]
        self._ledger.load_state_dict(state["ledger"])
        self._corrections.load_state_dict(state["corrections"])
        for one in self._attached:
            one.handle.refuse("Another state was loaded into the protection since this was attached: attach anew.")

    def discard(self) -> None:
        """Forget what has passed the model since the last consolidation."""
        self._ledger.discard()
