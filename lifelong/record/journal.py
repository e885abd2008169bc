"""Where everything that happens in a run comes together, cheaply enough to note every single step.

Updates are only collected; runs of them are settled into `Learned` facts in one transfer from the device,
so that no step waits for the host. N updates of a run, B samples, C outputs.

A checkpoint may fall between two blocks of facts: what is pending is settled for it and published when its block is
full, so that the record does not tell when checkpoints were saved.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from lifelong.events import Event, Learned, Update
from lifelong.record.jsonl import RecordLost
from lifelong.record.plain import decode, encode
from lifelong.record.subscriber import Subscriber

HELD_NUMBERS = 16_000_000
"""Outputs kept on the device before they are settled: 64 MB of float32."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Updates that are settled and may be a part of a block: those that follow join it where they have its `kind`."""

    step: int
    kind: str
    learned: Learned


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
        self._pieces: list[Piece] = []
        # Since the last block was published: updates, and numbers that they bring.
        self._count, self._held = 0, 0
        self._warned: set[str] = set()

    def note(self, step: int, item: Update | Event) -> None:
        """Take note that `item` happened when `step` experiences had been learned."""
        if isinstance(item, Update):
            self._updates.append((step, item))
            self._count += 1
            self._held += item.outputs.numel()
            if self._count >= self._flush_every or self._held > HELD_NUMBERS:
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
        self._settle()
        pieces, self._pieces = self._pieces, []
        self._count, self._held = 0, 0
        for piece in pieces:
            self._publish(piece.step, piece.learned)

    def _settle(self) -> None:
        updates, self._updates = self._updates, []
        for piece in _settled(updates) if updates else ():
            last = self._pieces[-1] if self._pieces else None
            if last is not None and last.kind == piece.kind:
                self._pieces[-1] = Piece(piece.step, piece.kind, _joined(last.learned, piece.learned))
            else:
                self._pieces.append(piece)

    def state_dict(self) -> dict[str, Any]:
        """What is noted and not published yet, as plain data."""
        self._settle()
        pieces = [{"step": p.step, "kind": p.kind, "learned": encode(p.learned)} for p in self._pieces]
        return {"pieces": pieces, "count": self._count, "held": self._held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pieces = [Piece(p["step"], p["kind"], decode(Learned, p["learned"])) for p in state["pieces"]]
        self._count, self._held = state["count"], state["held"]

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


def _settled(updates: list[tuple[int, Update]]) -> list[Piece]:
    """Runs of alike updates as one Learned fact each, all with a single transfer from the device."""
    runs = [list(run) for _, run in groupby(updates, key=lambda stamped: _likeness(stamped[1]))]
    with torch.no_grad():
        # One order for the host to read: first all losses, then all scores.
        losses = torch.stack([update.loss for _, update in updates]).double()
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
        settled.append(Piece(step, _kind(update), learned))
        first = last
    return settled


def _joined(one: Learned, other: Learned) -> Learned:
    return Learned(
        one.expert,
        one.samples + other.samples,
        one.losses + other.losses,
        one.scores + other.scores,
        one.statistics + other.statistics,
    )


def _likeness(update: Update) -> tuple[object, ...]:
    """Updates that are equal in this can be stacked and belong into one block."""
    return (update.expert, _metric(update), update.outputs.shape, update.targets.shape)


def _kind(update: Update) -> str:
    """The same in words, which another process finds too."""
    metric = _metric(update)
    named = repr(metric) if is_dataclass(metric) else getattr(metric, "__qualname__", type(metric).__qualname__)
    return f"{update.expert} {named} {tuple(update.outputs.shape)} {tuple(update.targets.shape)}"


def _metric(update: Update) -> object:
    # Methods of two equal metrics are not equal themselves, so the metric is compared and not its method.
    return getattr(update.per_sample, "__self__", update.per_sample)


def _scores(run: list[Update]) -> Tensor:
    """(N,) prequential scores: the mean over the samples of each update.

    In double precision, so that rounding tells nothing of how many updates were settled together.
    """
    outputs_NBC = torch.stack([update.outputs for update in run])
    targets_NB = torch.stack([update.targets for update in run])
    return run[0].per_sample(outputs_NBC, targets_NB).double().mean(-1)


def _warn(subscriber: Subscriber, error: Exception) -> None:
    print(
        f"lifelong: {type(subscriber).__name__} failed and is left out from here on; the run and its other "
        f"records go on ({type(error).__name__}: {error}).",
        file=sys.stderr,
    )
