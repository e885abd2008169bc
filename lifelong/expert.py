"""An expert: one lane of a network, its optimizer, and what it remembers of the world that it knows.

Experts that share a foundation train the same body under the rules of its memory, each with heads of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from lifelong.events import Consolidated, Event, SubspaceGrown, Update
from lifelong.experience import Batch
from lifelong.foundation import Foundation
from lifelong.health import is_lost
from lifelong.known import Normal as Normal
from lifelong.known import Stretch as Stretch
from lifelong.objective import Contract
from lifelong.optimizer import Optimizer
from lifelong.pruning import Gradual
from lifelong.reminded import remind
from lifelong.retention.method import Retention
from lifelong.shrinking import Shrinking
from lifelong.subspace.choose import Wish
from lifelong.subspace.report import Growth
from lifelong.updates.attach import Handle
from lifelong.watch import Watch


class Expert:
    """Learns batch by batch in its lane of a foundation; every step obeys the foundation's memory.

    stretches: what its inputs looked like. seated: when it last became the active one (-1: never; larger is later).
    `sync_every`: steps after which the permitted part of the movement is taken (see `lifelong.updates.attach`). prune:
    how it becomes small while it learns, of an expert that is alone on its foundation. retention: what reminds it of
    the worlds that it learned before; what that draws at random depends on `seed`.
    """

    def __init__(
        self,
        number: int,
        foundation: Foundation,
        optimizer: Optimizer,
        watch: Watch | None = None,
        sync_every: int = 1,
        prune: Gradual | None = None,
        retention: Sequence[Retention] = (),
        seed: int = 0,
    ) -> None:
        self.number, self.foundation, self._watch = number, foundation, watch
        self.lane = f"expert-{number}"
        self.normal: Normal | None = None
        self.stretches: list[Stretch] = []
        self.seated = -1
        self._settings, self._sync_every = optimizer, sync_every
        self.shrinking = None if prune is None else Shrinking(prune)
        self._optimizer: torch.optim.Optimizer | None = None
        self._groups: list[list[str]] = []
        self._handle: Handle | None = None
        self._ready: tuple[Contract, str | None] | None = None
        self._named: dict[str, torch.nn.Parameter] = {}
        self.retained = remind(foundation.assembly, self.lane, lambda: self._named, retention, seed)

    @property
    def watch(self) -> Watch:
        """What it looks out for, of an expert that was given that."""
        assert self._watch is not None
        return self._watch

    def update(self, batch: Batch) -> Update:
        """Predict, then learn: one optimizer step on the batch. The update holds what was true before the step."""
        ready = self._ready
        if ready is None or ready[0] is not batch.contract or ready[1] != batch.task:
            self.prepare(batch.contract, batch.task)
        optimizer, assembly, objective = self._optimizer, self.foundation.assembly, batch.contract.objective
        assert optimizer is not None
        if not assembly.training:
            assembly.train()
        outputs = assembly(batch.inputs, batch.contract, self.lane, batch.task)
        loss = objective.loss(outputs, batch.targets)
        optimizer.zero_grad(set_to_none=True)
        # What is reported is the loss of this batch alone: surprise is about the world as it is now.
        learns = not is_lost(loss)
        if learns and self.retained is None:
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        elif learns and self.retained is not None:
            self.retained.step(optimizer, batch, outputs, loss)
        if learns and self.shrinking is not None:
            self.shrinking.stepped(loss, lambda: self._loss(batch))
        statistic = self._watch.loss.statistic if self._watch is not None else 0.0
        return Update(
            self.number, loss.detach(), outputs.detach(), batch.targets, objective.metric.per_sample, statistic
        )

    def _loss(self, batch: Batch) -> Tensor:
        return batch.contract.objective.loss(self.answer(batch.inputs, batch.contract, batch.task), batch.targets)

    @torch.no_grad()
    def answer(self, inputs: Tensor, contract: Contract, task: str | None = None) -> Tensor:
        """(B, ...) inputs -> (B, C) outputs, without learning."""
        assembly = self.foundation.wake()
        assembly.eval()
        with self._settled():
            outputs: Tensor = assembly(inputs, contract, self.lane, task)
        return outputs

    def reply(self, inputs: Tensor, contract: Contract, task: str | None = None) -> Tensor:
        """What it says to who asks: its answer, or that of a retention method which answers in its network's place."""
        said = None
        if self.retained is not None:
            self.foundation.wake().eval()
            with self._settled():
                said = self.retained.answer(inputs, contract, task)
        return self.answer(inputs, contract, task) if said is None else said

    @torch.no_grad()
    def features(self, inputs: Tensor) -> Tensor:
        """(B, ...) inputs -> (B, F), what its heads are given."""
        assembly = self.foundation.wake()
        assembly.eval()
        with self._settled():
            return assembly.features(inputs, self.lane)

    def serves(self, contract: Contract, task: str | None = None) -> bool:
        return self.foundation.assembly.serves(contract, self.lane, task)

    def consolidate(self, batches: Sequence[Batch]) -> list[Event]:
        """A world is left, of which these are batches: keep what is known of it, by all means that there are."""
        return [*self.remember(batches), *self.spare(batches)]

    def remember(self, batches: Sequence[Batch]) -> list[Event]:
        """Let retention methods keep what these batches of a world that ends show."""
        if self.retained is None or not batches:
            return []
        self.sync()
        spent = self.retained.consolidate(batches)
        return [Consolidated(self.number, sum(len(batch.targets) for batch in batches), spent)]

    def spare(self, batches: Sequence[Batch]) -> list[Event]:
        """Remember what these batches use of the foundation, so that it can be spared."""
        if not batches:
            return []
        self.sync()
        return [*self._facts(self.foundation.consolidate(batches, self.lane))]

    def joined(self) -> list[SubspaceGrown]:
        """What is spared from now on, for an expert that has just joined a lone owner's foundation."""
        memory = self.foundation.memory
        return self._facts(memory.protected()) if memory is not None and self.foundation.lanes == 2 else []

    def _facts(self, grown: Sequence[Growth]) -> list[SubspaceGrown]:
        return [SubspaceGrown(self.number, g.layer, round(g.rank), g.size, g.energy) for g in grown]

    def rest(self) -> None:
        """Another expert takes over: let go of everything that only training needs."""
        self.sync()
        if self._handle is not None:
            self._handle.detach()
        self._let_grow()
        self._optimizer, self._handle, self._groups, self._ready = None, None, [], None
        for p in self.foundation.assembly.lane_parameters(self.lane):
            p.grad = None

    def sync(self) -> None:
        """Make the parameters obey the memory exactly, now."""
        if self._handle is not None:
            self._handle.sync()

    def tensors(self) -> list[Tensor]:
        """Everything that an update changes: parameters, buffers and the optimizer's state, as live tensors."""
        assembly = self.foundation.assembly
        live = [*(p.detach() for p in assembly.lane_parameters(self.lane)), *assembly.lane_buffers(self.lane)]
        if self._handle is not None:
            live += self._handle.tensors()
        if self.retained is not None:
            live += self.retained.tensors()
        if self._optimizer is not None:
            live += [v for state in self._optimizer.state.values() for v in state.values() if torch.is_tensor(v)]
        return live

    def rewound(self, batches: Sequence[Batch] = ()) -> None:
        """The parameters were put back to an earlier, permitted state, before the updates on these latest batches."""
        if self._handle is not None:
            self._handle.rewound()
        if self.shrinking is not None:
            self.shrinking.rewound(len(batches))
        if self.retained is not None:
            self.retained.retract(sum(len(batch.targets) for batch in batches))

    def forget_moments(self) -> None:
        """Start the optimizer anew: moments of one task say nothing about the next."""
        if self._optimizer is not None:
            self._optimizer.state.clear()

    def reguard(self) -> None:
        """Obey the memory as it is now; to be called after a consolidation."""
        memory = self.foundation.memory
        if self._handle is not None:
            self._handle.detach()
            self._handle = None
        if memory is not None and self.foundation.is_guarded and self._optimizer is not None:
            holds = memory.holds(self._optimizer, Wish(memory.form, self._sync_every, in_place=True))
            self._handle = Handle(self._optimizer, holds) if holds else None

    def prepare(self, contract: Contract, task: str | None) -> None:
        """Make the parts and the optimizer that learning this needs, where they are not there yet."""
        if self._ready is not None and self._ready[0] is contract and self._ready[1] == task:
            return
        self.foundation.touch()
        self.foundation.assembly.grow(contract, self.lane, task)
        self._named = named = self._trainable()
        if self.retained is not None:
            self.retained.meet()
        covered = {name for group in self._groups for name in group}
        fresh = [name for name in named if name not in covered]
        if fresh:
            self._add_group([named[name] for name in fresh])
            self._groups.append(fresh)
            self.reguard()
            self._keep_small()
        self._ready = (contract, task)

    def _keep_small(self) -> None:
        if self.shrinking is not None and self._optimizer is not None:
            self.shrinking.attach(self.foundation.assembly, self._optimizer)

    def _let_grow(self) -> None:
        if self.shrinking is not None:
            self.shrinking.detach()

    def _add_group(self, parameters: list[torch.nn.Parameter]) -> None:
        if self._optimizer is None:
            self._optimizer = self._settings.over(parameters)
        else:
            self._optimizer.add_param_group({"params": parameters})

    def _trainable(self) -> dict[str, torch.nn.Parameter]:
        assembly = self.foundation.assembly
        mine = {id(p) for p in assembly.lane_parameters(self.lane)}
        return {name: p for name, p in assembly.named_parameters() if id(p) in mine}

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Answer from parameters that obey the memory exactly, and leave the training state as it was."""
        with nullcontext() if self._handle is None else self._handle.settled():
            yield

    def state_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "normal": None if self.normal is None else (self.normal.mean, self.normal.spread),
            "stretches": [(one.shape, one.description, sorted(one.rivals)) for one in self.stretches],
            "seated": self.seated,
            "watch": None if self._watch is None else self._watch.state_dict(),
            "shrinking": None if self.shrinking is None else self.shrinking.state_dict(),
            "groups": self._groups,
            "optimizer": None if self._optimizer is None else self._optimizer.state_dict(),
            "handle": None if self._handle is None else self._handle.state_dict(),
            "retained": None if self.retained is None else self.retained.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; the foundation must have been restored before."""
        self.normal = None if state["normal"] is None else Normal(*state["normal"])
        self.stretches = [Stretch(tuple(shape), kept, set(rivals)) for shape, kept, rivals in state["stretches"]]
        self.seated = state["seated"]
        if self._watch is not None:
            self._watch.load_state_dict(state["watch"])
        self._let_grow()
        if self.shrinking is not None:
            self.shrinking.load_state_dict(state["shrinking"])
        self._optimizer, self._handle, self._ready, self._groups = None, None, None, []
        self._named = self._trainable()
        if self.retained is not None:
            self.retained.load_state_dict(state["retained"])
        if state["optimizer"] is not None:
            named = dict(self.foundation.assembly.named_parameters())
            self._groups = [list(group) for group in state["groups"]]
            for group in self._groups:
                self._add_group([named[name] for name in group])
            assert self._optimizer is not None
            # torch takes the tensors of a state over as they are: two experts must not share moments.
            self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
            self.reguard()
            if self._handle is not None:
                self._handle.load_state_dict(state["handle"])
            self._keep_small()
