"""ZSCL: what a network answers on reference data is distilled, and its weights are averaged (Zheng et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor

from lifelong.experience import Batch
from lifelong.objective import Contract
from lifelong.retention.distance import distance
from lifelong.retention.method import Keeper, Silent, Stored, positive, whole
from lifelong.retention.model import Model, bytes_of, detached
from lifelong.retention.needs import Needs

Teacher = Literal["previous", "initial"]


class Samples(Protocol):
    """A data set, of which the inputs are looked at alone."""

    @property
    def train_inputs(self) -> Tensor:
        """(N, ...), on one device."""
        ...


@runtime_checkable
class DataSource(Protocol):
    """Where reference data come from."""

    def load(self, device: torch.device) -> Samples: ...


@dataclass(frozen=True, slots=True)
class Zscl:
    """Holds the network to its earlier answers on reference data that no task is about, and averages its weights.

    The loss adds `strength` times the distance to the teacher's answers (for classes: temperature^2 KL of the softmax)
    on `batch_size` samples of `reference`, whose labels are not looked at (Zheng et al. 2023, sec. 3.2: a reference
    that is rich in meaning). Null: noise, with the mean and the spread, value by value, of the inputs of ended tasks;
    it says less. teacher: "previous" is the network as the last task ended, and nothing is held before; "initial" as it
    was before the first step, for a network that knows something then. It is asked for an answer of a kind that it
    knows, one drawn at each step; kinds whose inputs are not shaped like the reference are left out.

    From then on, the running mean is taken of the weights of the task's beginning, every `every` steps (null: never)
    and its end, and becomes the network's weights as the task ends (sec. 3.3, weight ensemble). What the network got
    only since, such as a new head, and running statistics of norms stay as trained. The mean suits tasks that move a
    network little: where they move it far, it costs what was learned.
    """

    strength: float = 1.0
    temperature: float = 2.0
    every: int | None = 10
    teacher: Teacher = "previous"
    reference: DataSource | None = None
    batch_size: int = 64

    def __post_init__(self) -> None:
        if not positive(self.strength, self.temperature):
            raise ValueError(f"strength and temperature must be positive, got {self.strength} and {self.temperature}.")
        if not whole(self.batch_size) or (self.every is not None and not whole(self.every)):
            raise ValueError(
                "every and batch_size must be whole numbers of at least 1 (or every null, for no mean), got "
                f"every={self.every}, batch_size={self.batch_size}."
            )
        if self.teacher not in get_args(Teacher):
            raise ValueError(f"teacher must be one of {', '.join(get_args(Teacher))}, got {self.teacher!r}.")

    @property
    def needs(self) -> Needs:
        return Needs(ends="found")

    def keeper(self, model: Model, seed: int) -> Keeper:
        return _Keeper(self, model, seed)


@dataclass(slots=True)
class _Known:
    """A kind of answer that the teacher gives; of its inputs, their number, their sum and that of their squares."""

    contract: Contract
    task: str | None
    count: int
    total: Tensor
    squares: Tensor

    def add(self, inputs: Tensor) -> None:
        self.count += len(inputs)
        self.total = self.total + inputs.sum(0)
        self.squares = self.squares + inputs.square().sum(0)

    def noise(self, count: int, random: torch.Generator) -> Tensor:
        mean = self.total / self.count
        spread = (self.squares / self.count - mean.square()).clamp_min(0.0).sqrt()
        return mean + spread * torch.randn((count, *mean.shape), generator=random).to(mean)


class _Keeper(Silent):
    def __init__(self, settings: Zscl, model: Model, seed: int) -> None:
        self._settings, self._model = settings, model
        self._random = torch.Generator().manual_seed(seed)
        self._then: Model | None = None
        self._known: list[_Known] = []
        self._reference: Tensor | None = None
        self.mean: dict[str, Tensor] = {}
        # Of this task, on the host: reading them costs nothing, and they are put back with the parameters.
        self._steps = torch.zeros((), dtype=torch.int64)

    def meet(self) -> None:
        if self._settings.teacher == "initial" and self._then is None and not self.mean:
            self._begin()

    def _begin(self) -> None:
        """The mean begins with the weights as they are."""
        self.mean = {} if self._settings.every is None else detached(self._model.named())
        self._steps.zero_()

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor | None:
        settings = self._settings
        if self._then is None and settings.teacher == "initial":
            self._learn_from([batch])
        known = self._asked(batch.inputs.device)
        if self._then is None or known is None:
            return None
        if self._reference is None:
            inputs = known.noise(settings.batch_size, self._random)
        else:
            rows = torch.randint(len(self._reference), (settings.batch_size,), generator=self._random)
            inputs = self._reference[rows.to(self._reference.device)]
        with torch.no_grad():
            before = self._then.outputs(inputs, known.contract, known.task)
        now = self._model.outputs(inputs, known.contract, known.task)
        objective, columns = known.contract.objective, known.contract.mask
        return settings.strength * distance(objective, before, now, columns, settings.temperature)

    def _asked(self, device: torch.device) -> _Known | None:
        """A kind of answer that the reference can be asked for."""
        if self._reference is None and self._settings.reference is not None:
            self._reference = self._settings.reference.load(device).train_inputs
        shape = None if self._reference is None else tuple(self._reference.shape[1:])
        fits = [known for known in self._known if shape is None or known.contract.input_shape == shape]
        if self._known and not fits:
            raise ValueError(
                f"Zscl: no task takes inputs like the reference's, of shape {shape}; they take "
                f"{self._known[0].contract.input_shape}. Take another reference, or null for noise."
            )
        return fits[int(torch.randint(len(fits), (), generator=self._random))] if fits else None

    @torch.no_grad()
    def observe(self, batch: Batch, outputs: Tensor) -> None:
        every = self._settings.every
        if self._then is None or every is None:
            return
        self._steps += 1
        if int(self._steps) % every == 0:
            self._average(int(self._steps) // every)

    def _average(self, taken: int) -> None:
        """The weights are the `taken`-th of this task, beside those of its beginning."""
        named = self._model.named()
        for name, mean in self.mean.items():
            mean.lerp_(named[name], 1.0 / (taken + 1))

    @torch.no_grad()
    def consolidate(self, batches: Sequence[Batch]) -> None:
        named, steps, every = self._model.named(), int(self._steps), self._settings.every
        if every is not None and steps % every:
            # A task of fewer steps than `every` would else be undone.
            self._average(steps // every + 1)
        for name, mean in self.mean.items():
            named[name].copy_(mean)
        self._learn_from(batches)

    def _learn_from(self, batches: Sequence[Batch]) -> None:
        """The network is the teacher of what follows, if it has to have one yet."""
        fresh = self._then is None or self._settings.teacher == "previous"
        if fresh:
            self._then = self._model.twin()
        for batch in batches:
            self._meet(batch, fresh)
        self._begin()

    def _meet(self, batch: Batch, fresh: bool) -> None:
        """Note what inputs are like; kinds that are new are known to a fresh teacher alone."""
        for known in self._known:
            if known.contract == batch.contract and known.task == batch.task:
                known.add(batch.inputs)
                return
        if fresh:
            zeros = torch.zeros_like(batch.inputs[0])
            self._known.append(_Known(batch.contract, batch.task, 0, zeros, zeros))
            self._known[-1].add(batch.inputs)

    def stored(self) -> Stored:
        noted = [t for known in self._known for t in (known.total, known.squares)]
        # The reference takes room, and is no sample of the stream.
        reference = [] if self._reference is None else [self._reference]
        then = 0 if self._then is None else self._then.bytes()
        return Stored(0, then + bytes_of([*self.mean.values(), *noted, *reference]))

    def tensors(self) -> list[Tensor]:
        return [self._steps, *self.mean.values()]

    def state_dict(self) -> dict[str, Any]:
        return {
            "then": None if self._then is None else self._then.module.state_dict(),
            "known": [(k.contract, k.task, k.count, k.total, k.squares) for k in self._known],
            "mean": {name: mean.clone() for name, mean in self.mean.items()},
            "steps": self._steps.clone(),
            "random": self._random.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._then = None if state["then"] is None else self._model.twin_of(state["then"])
        self._known = [_Known(*known) for known in state["known"]]
        self.mean = {name: mean.clone() for name, mean in state["mean"].items()}
        self._steps.copy_(state["steps"])
        self._random.set_state(state["random"].cpu())
