"""A stream of messages as they come from elsewhere: samples with labels, and labels that follow later.

What is learned depends on the order of the messages alone, never on when they came, so that a run that was interrupted
goes on as if it had not been: no message is lost, and none is learned twice.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from lifelong.events import Event, Refused
from lifelong.experience import Batch, Truth
from lifelong.objective import AbsoluteError, Classification, Contract, Regression
from lifelong.source import Message, Source
from lifelong.stream import Segment, Task
from lifelong_envs.live.form import Form, Unfit
from lifelong_envs.live.inbox import Inbox
from lifelong_envs.supervised.data.dataset import DataSource

WAIT = 0.5
"""Seconds to wait for a message before seeing to something else."""

AHEAD = 256
"""Messages read from the source at once: what is not learned yet stays where it is, which holds back who writes."""

TOLD = 100
"""Refused messages that are put on record one by one; after these, each time that there are twice as many."""


class LiveStream:
    """Batches of messages. `name` is the stream's and its one task's; see `live` for the settings."""

    def __init__(
        self,
        source: Source,
        form: Form,
        task: Task,
        batch_size: int,
        waiting: int,
        remembered: int,
        limit: int | None,
        device: str,
    ) -> None:
        self.name = task.name
        self.tasks: Sequence[Task] = (task,)
        self.segments: Sequence[Segment] = ()
        self._source, self._form, self._contract = source, form, task.contract
        self._batch_size, self._limit, self._device = batch_size, limit, device
        self._bounds = waiting, remembered
        self._new()

    def _new(self) -> None:
        self._inbox = Inbox(self._form, *self._bounds)
        self._position: str | None = None
        self._served = self._refused = 0
        self._why = ""
        self._facts: list[Event] = []

    def experiences(self, start: int = 0) -> Iterator[tuple[Batch, Truth]]:
        """The batches of `moments`, however long each is waited for."""
        return (moment for moment in self.moments(start) if moment is not None)

    def moments(self, start: int = 0) -> Iterator[tuple[Batch, Truth] | None]:
        """Batches from now on. From step 0 it begins anew, else it goes on: `start` must be where it was left."""
        if start == 0 and self._served:
            self._new()
        if start != self._served:
            raise ValueError(
                f"The stream {self.name!r} has given {self._served:,} experiences and cannot go on after {start:,}: "
                "what comes from elsewhere can be gone on with only where it was left."
            )
        return self._from()

    def _from(self) -> Iterator[tuple[Batch, Truth] | None]:
        self._source.begin(self._position)
        ahead: deque[Message] = deque()
        ended = False
        while self._limit is None or self._served < self._limit:
            while len(self._inbox) < self._batch_size and not ended:
                if not ahead:
                    got = self._source.take(AHEAD, WAIT)
                    if got is None:
                        ended = True
                        break
                    if not got:
                        yield None
                    ahead.extend(got)
                    continue
                self._read(ahead.popleft())
            if not len(self._inbox):
                return
            inputs, labels = self._inbox.take(self._batch_size)
            self._served += 1
            tensors = torch.from_numpy(inputs).to(self._device), torch.from_numpy(labels).to(self._device)
            yield Batch(*tensors, self._contract), Truth(self.name, 0)

    def _read(self, message: Message) -> None:
        self._position = message.position
        try:
            self._inbox.put(message.text)
        except Unfit as error:
            self._refused, self._why = self._refused + 1, str(error)
            if self._refused <= TOLD or (self._refused % TOLD == 0 and (self._refused // TOLD).bit_count() == 1):
                self._facts.append(Refused(message.position, str(error), self._refused))

    def excuse(self) -> str:
        return f" ({self._refused:,} were left out, the latest because: {self._why})" if self._refused else ""

    def facts(self) -> Sequence[Event]:
        facts, self._facts = self._facts, []
        return facts

    def acknowledge(self) -> None:
        if self._position is None:
            return
        try:
            self._source.acknowledge(self._position)
        except OSError as error:
            warnings.warn(
                f"{self.name}: what is in the checkpoint could not be acknowledged ({error}); it is with the next one.",
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "position": self._position,
            "served": self._served,
            "refused": self._refused,
            "inbox": self._inbox.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._new()
        self._position, self._served, self._refused = state["position"], state["served"], state["refused"]
        self._inbox.load_state_dict(state["inbox"])


def live(
    source: Source,
    inputs: tuple[int, ...],
    classes: int | None = None,
    targets: int = 1,
    batch_size: int = 32,
    held_out: DataSource | None = None,
    waiting: int = 10_000,
    remembered: int = 10_000,
    limit: int | None = None,
    device: str = "cpu",
) -> LiveStream:
    """A stream of messages as they come: from a file that grows, standard input, or Redis.

    inputs: the shape of one. classes: how many there are (null: labels are `targets` numbers to be told). held_out:
    data whose test samples are answered every so many experiences (`evaluation.every`; null: only the score on new
    samples is known). waiting: inputs that wait for a label that follows later, at most. remembered: ids of the latest
    messages, by which one that is sent twice is known. limit: experiences after which the stream ends (null: it
    ends where its source does). Raises ValueError for numbers below 1, and data of another shape.
    """
    counts = {"batch_size": batch_size, "waiting": waiting, "remembered": remembered, "targets": targets}
    counts |= {"limit": 1 if limit is None else limit, "classes": 2 if classes is None else classes}
    for what, number in counts.items():
        if number < (2 if what == "classes" else 1):
            raise ValueError(f"live: {what} must be at least {2 if what == 'classes' else 1}, got {number}.")
    if not inputs or min(inputs) < 1:
        raise ValueError(f"live: inputs is the shape of one input, such as [64] or [1, 28, 28], got {list(inputs)}.")
    contract = (
        Contract(tuple(inputs), classes, Classification())
        if classes is not None
        else Contract(tuple(inputs), targets, Regression(AbsoluteError()))
    )
    form = Form(tuple(inputs), classes, targets)
    return LiveStream(
        source, form, _task(contract, classes, held_out, device), batch_size, waiting, remembered, limit, device
    )


def _task(contract: Contract, classes: int | None, held_out: DataSource | None, device: str) -> Task:
    if held_out is None:
        shape = (0,) if classes is not None else (0, contract.outputs)
        nothing = torch.empty(0, *contract.input_shape, device=device), torch.empty(shape, device=device)
        return Task("live", contract, *nothing, judged=False)
    data = held_out.load(torch.device(device))
    test_inputs, test_targets = data.test_inputs.to(device), data.test_targets.to(device)
    if tuple(test_inputs.shape[1:]) != contract.input_shape:
        raise ValueError(
            f"live: the held-out inputs have the shape {tuple(test_inputs.shape[1:])}, and those of the messages have "
            f"{contract.input_shape}: give inputs: {list(test_inputs.shape[1:])}, or other data."
        )
    if classes is not None and (test_targets.is_floating_point() or int(test_targets.max()) >= classes):
        raise ValueError(f"live: the held-out labels are not classes from 0 to {classes - 1}: give other data.")
    return Task("live", contract, test_inputs, test_targets)
