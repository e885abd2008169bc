"""What a retention method is: settings, and for each network a keeper that reminds it of what it learned.

One step of training, top-down: `loss` says what shall be descended besides the batch's own loss, `bend` may change the
gradients once they are there, the optimizer steps, `observe` takes notice of the batch. Who must see gradients as they
came, or must have the last word on them, says so by a protocol of its own, so that methods may stand in any order. When
a task has ended, `consolidate` is shown samples of it. Every method of this folder is one file of this shape; most need
two or three of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Contract
from lifelong.retention.model import Model
from lifelong.retention.needs import Needs


def positive(*values: float) -> bool:
    """Whether all are numbers above zero, and none is infinite."""
    return all(isinstance(value, Real) and 0.0 < value < math.inf for value in values)


def whole(*values: int, least: int = 1) -> bool:
    """Whether all are whole numbers of at least `least`."""
    return all(isinstance(value, Integral) and value >= least for value in values)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a keeper holds in memory: samples of the past, and bytes of all that it keeps."""

    samples: int = 0
    bytes: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(self.samples + other.samples, self.bytes + other.bytes)


class Keeper(Protocol):
    """What a method keeps of one network. Gradients are those of the parameters that the model names."""

    def meet(self) -> None:
        """The network has its parameters, or has got more of them; called before the first step."""
        ...

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor | None:
        """A term to descend with the loss of this batch, whose (B, C) outputs are given; None for none."""
        ...

    def bend(self) -> None:
        """Gradients are there and may be changed; the optimizer's step comes next."""
        ...

    def observe(self, batch: Batch, outputs: Tensor) -> None:
        """The step on this batch was made; `outputs` are those from before it, without a graph."""
        ...

    def consolidate(self, batches: Sequence[Batch]) -> None:
        """A task has ended; these are samples of it."""
        ...

    def retract(self, samples: int) -> None:
        """The latest steps, on so many samples in all, were taken back; `tensors` are put back by whoever did that."""
        ...

    def stored(self) -> Stored: ...

    def tensors(self) -> list[Tensor]:
        """Live tensors that every step changes, in an order that stays the same."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Silent:
    """A keeper that does nothing: a base for those that need only a part of the contract."""

    def meet(self) -> None:
        pass

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor | None:
        return None

    def bend(self) -> None:
        pass

    def observe(self, batch: Batch, outputs: Tensor) -> None:
        pass

    def consolidate(self, batches: Sequence[Batch]) -> None:
        pass

    def retract(self, samples: int) -> None:
        pass

    def stored(self) -> Stored:
        return Stored()

    def tensors(self) -> list[Tensor]:
        return []

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@runtime_checkable
class Redefining(Protocol):
    """A keeper with a loss of its own, in place of the task's. There may be one of them."""

    def objective(self, batch: Batch, outputs: Tensor) -> Tensor:
        """The loss to descend on this batch, a scalar with a graph."""
        ...


@runtime_checkable
class Answering(Protocol):
    """A keeper that answers questions itself, such as by the nearest mean. There may be one of them."""

    def answer(self, inputs: Tensor, contract: Contract, task: str | None) -> Tensor | None:
        """(B, ...) inputs -> (B, C) outputs; None where it cannot, and the network shall answer."""
        ...


@runtime_checkable
class Reading(Protocol):
    """A keeper that must see the gradients of the loss before any method bends them."""

    def read(self) -> None:
        """Gradients are there, as the backward pass left them; they are not to be changed."""
        ...


@runtime_checkable
class Projecting(Protocol):
    """A keeper that promises something of the gradient that the optimizer will follow. There may be one of them."""

    def project(self) -> None:
        """All methods have bent the gradients; what is left now is what the optimizer follows."""
        ...


@runtime_checkable
class Curved(Protocol):
    """A keeper with a quadratic penalty, which may be steeper than the optimizer's step is long: see implicit.py."""

    def curvature(self) -> tuple[dict[str, Tensor], float]:
        """Weights by the parameter's name, and their factor: together the penalty's second derivatives."""
        ...


@runtime_checkable
class Restarting(Protocol):
    """A keeper that draws weights anew after a step, and the optimizer's moments of them with it."""

    def restart(self, optimizer: torch.optim.Optimizer) -> None:
        """The step was observed; whatever changes now is no movement of the optimizer's."""
        ...


class Retention(Protocol):
    """A retention method: frozen settings, and what it cannot work without."""

    @property
    def needs(self) -> Needs: ...

    def keeper(self, model: Model, seed: int) -> Keeper:
        """What it will keep of this network; whatever it draws at random depends on `seed`."""
        ...
