"""Where everything that happens in a run comes together, cheaply enough to note every single step.

Updates are only collected; runs of them are settled into `Learned` facts in one transfer from the device,
so that no step waits for the host. N updates of a run, B samples, C outputs.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

import torch
from torch import Tensor

from lifelong.events import Event, Learned, Update
from lifelong.record.jsonl import RecordLost
from lifelong.record.subscriber import Subscriber

HELD_NUMBERS = 16_000_000
"""Outputs kept on the device before they are settled: 64 MB of float32."""


class Journal:
    """Stamps what happens with its step, settles updates, and hands facts to all subscribers in order.

    A subscriber that fails is named on stderr and dropped, so that a full disk quota or a dead network
    cannot end a run; only RecordLost, the source of truth failing, is raised. `flush_every` is the number
    of updates settled at once. Raises ValueError where it is not positive.
    """

    def __init__(self, subscribers: Sequence[Subscriber], flush_every: int = 256) -> None:
        if flush_every < 1:
            raise ValueError(f"flush_every counts updates: give 1 or more, got {flush_every}.")
        self._subscribers = list(subscribers)
        self._flush_every = flush_every
        self._updates: list[tuple[int, Update]] = []
        self._held = 0
        self._warned: set[str] = set()

    def note(self, step: int, item: Update | Event) -> None:
        """Take note that `item` happened when `step` experiences had been learned."""
        if isinstance(item, Update):
            self._updates.append((step, item))
            self._held += item.outputs.numel()
            if len(self._updates) >= self._flush_every or self._held > HELD_NUMBERS:
                self.flush()
        else:
            self.flush()
            self._publish(step, item)

    def warn_once(self, key: str, what: str) -> None:
        """Tell the person who runs this of something, with the first call of this key alone."""
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(what, stacklevel=2)

    def flush(self) -> None:
        """Settle the updates noted so far and publish them."""
        if self._updates:
            settled = _settle(self._updates)
            self._updates = []
            self._held = 0
            for step, learned in settled:
                self._publish(step, learned)

    def close(self) -> None:
        """Settle what is pending and close every subscriber, also when one of them fails."""
        try:
            self.flush()
        finally:
            lost: RecordLost | None = None
            for subscriber in self._subscribers:
                try:
                    subscriber.close()
                except RecordLost as error:
                    lost = error
                except Exception as error:
                    _warn(subscriber, error)
            self._subscribers = []
            if lost is not None:
                raise lost

    def _publish(self, step: int, event: Event) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber.on(step, event)
            except RecordLost:
                raise
            except Exception as error:
                _warn(subscriber, error)
                self._subscribers.remove(subscriber)
                with suppress(Exception):
                    subscriber.close()


def _settle(updates: list[tuple[int, Update]]) -> list[tuple[int, Learned]]:
    """Runs of alike updates as one Learned fact each, all with a single transfer from the device."""
    runs = [list(run) for _, run in groupby(updates, key=lambda stamped: _likeness(stamped[1]))]
    with torch.no_grad():
        # One order for the host to read: first all losses, then all scores.
        losses = torch.stack([update.loss for _, update in updates]).float()
        scores = torch.cat([_scores([update for _, update in run]) for run in runs])
        numbers = [float(f"{number:.6g}") for number in torch.cat([losses, scores]).tolist()]
    settled = []
    first = 0
    for run in runs:
        last = first + len(run)
        step, update = run[-1]
        learned = Learned(
            expert=update.expert,
            samples=sum(len(u.outputs) if u.samples is None else u.samples for _, u in run),
            losses=tuple(numbers[first:last]),
            scores=tuple(numbers[len(updates) + first : len(updates) + last]),
            statistics=tuple(float(f"{noted.statistic:.6g}") for _, noted in run),
        )
        settled.append((step, learned))
        first = last
    return settled


def _likeness(update: Update) -> tuple[object, ...]:
    """Updates that are equal in this can be stacked and belong into one block."""
    # Methods of two equal metrics are not equal themselves, so the metric is compared and not its method.
    metric = getattr(update.per_sample, "__self__", update.per_sample)
    return (update.expert, metric, update.outputs.shape, update.targets.shape)


def _scores(run: list[Update]) -> Tensor:
    """(N,) prequential scores: the mean over the samples of each update."""
    outputs_NBC = torch.stack([update.outputs for update in run])
    targets_NB = torch.stack([update.targets for update in run])
    return run[0].per_sample(outputs_NBC, targets_NB).float().mean(-1)


def _warn(subscriber: Subscriber, error: Exception) -> None:
    print(
        f"lifelong: {type(subscriber).__name__} failed and is left out from here on; the run and its other "
        f"records go on ({type(error).__name__}: {error}).",
        file=sys.stderr,
    )
