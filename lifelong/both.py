"""A learner of batches and one that acts, in one: every experience goes to the one that can take it in.

Both count their experts from 0. Here every expert has a number of its own, given when it is first heard of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from lifelong.events import Event, ShiftSeen, Update
from lifelong.experience import Batch, Prediction, Prospect, Query
from lifelong.interaction import Actor, Array, Found, Interaction, Observations, Stage, Transitions
from lifelong.learner import (
    Accountable,
    ActingLearner,
    Awaiting,
    Foresighted,
    Learner,
    Particular,
    Size,
    Watchful,
)

NUMBERS = ("expert", "parent", "into", "instead_of")
"""Fields of events that name experts."""


class Numbers:
    """(which learner, its number) -> number here, in the order in which they are first heard of."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], int] = {}

    def of(self, who: str, number: int) -> int:
        """Negative numbers stand for nobody, here as there."""
        return number if number < 0 else self.known.setdefault((who, number), len(self.known))

    def translated(self, who: str, happened: Sequence[Update | Event]) -> list[Update | Event]:
        return [self._item(who, item) for item in happened]

    def _item(self, who: str, item: Update | Event) -> Update | Event:
        names = [f.name for f in fields(item) if f.name in NUMBERS and getattr(item, f.name) is not None]
        changes: dict[str, Any] = {name: self.of(who, getattr(item, name)) for name in names}
        return replace(item, **changes) if changes else item


class Both:
    """Learns batches by `supervised` and worlds by `acting`; neither knows of the other."""

    def __init__(self, supervised: Learner, acting: ActingLearner) -> None:
        self._supervised, self._acting, self._numbers = supervised, acting, Numbers()
        self._met: list[str] = []
        self._latest = -1

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        return self._noted("supervised", self._supervised.learn(batch))

    def live(self, interaction: Interaction) -> Sequence[Update | Event]:
        return self._noted("acting", self._acting.live(interaction))

    def _noted(self, who: str, happened: Sequence[Update | Event]) -> Sequence[Update | Event]:
        """Who is met for the first time found nothing out: that this is another kind of world is plain to see."""
        items = self._numbers.translated(who, happened)
        if who not in self._met:
            if self._met:
                items.insert(1, ShiftSeen(self._latest))
            self._met.append(who)
        self._latest = next(item.expert for item in items if isinstance(item, Update))
        return items

    @property
    def is_particular(self) -> bool:
        return isinstance(self._supervised, Particular) and self._supervised.is_particular

    def suits(self, first: Batch, prospect: Prospect | None = None) -> None:
        if isinstance(self._supervised, Particular):
            self._supervised.suits(first, prospect)

    @property
    def awaits_ends(self) -> bool:
        return isinstance(self._supervised, Awaiting) and self._supervised.awaits_ends

    def check(self, stage: Stage) -> None:
        if isinstance(self._acting, Foresighted):
            self._acting.check(stage)

    def blind(self, stage: Stage) -> int | None:
        return self._acting.blind(stage) if isinstance(self._acting, Foresighted) else None

    def predict(self, query: Query) -> Prediction:
        prediction = self._supervised.predict(query)
        here = [self._numbers.of("supervised", number) for number in prediction.experts.tolist()]
        return replace(prediction, experts=torch.tensor(here, device=prediction.experts.device))

    def actor(self, stage: Stage) -> Actor:
        return _Renumbered(self._acting.actor(stage), self._numbers)

    @property
    def threshold(self) -> float | None:
        """That of the learner of batches, or else of the one that acts."""
        for learner in (self._supervised, self._acting):
            if isinstance(learner, Watchful) and learner.threshold is not None:
                return learner.threshold
        return None

    def held(self) -> Sequence[Event]:
        held = self._supervised.held() if isinstance(self._supervised, Accountable) else ()
        return [item for item in self._numbers.translated("supervised", held) if not isinstance(item, Update)]

    def size(self) -> Size:
        one, other = self._supervised.size(), self._acting.size()
        known = one.bytes is not None and other.bytes is not None
        return Size(
            one.experts + other.experts,
            one.parameters + other.parameters,
            (one.bytes or 0) + (other.bytes or 0) if known else None,
            one.archived,
            None if one.nonzero is None else one.nonzero + other.parameters,
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "supervised": self._supervised.state_dict(),
            "acting": self._acting.state_dict(),
            "met": list(self._met),
            "latest": self._latest,
            "numbers": [[who, number, here] for (who, number), here in self._numbers.known.items()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._supervised.load_state_dict(state["supervised"])
        self._acting.load_state_dict(state["acting"])
        self._met, self._latest = list(state["met"]), state["latest"]
        self._numbers.known = {(who, number): here for who, number, here in state["numbers"]}


class _Renumbered:
    """An actor whose experts are called by their numbers here."""

    def __init__(self, inner: Actor, numbers: Numbers) -> None:
        self._inner, self._numbers = inner, numbers

    def act(self, observations: Observations, lanes: Array) -> Array:
        return self._inner.act(observations, lanes)

    def observe(self, transitions: Transitions, lanes: Array) -> None:
        self._inner.observe(transitions, lanes)

    @property
    def experts(self) -> Array:
        translated: Array = self._inner.experts.copy()
        for place, number in enumerate(self._inner.experts.tolist()):
            translated[place] = self._numbers.of("acting", number)
        return translated

    @property
    def found(self) -> Sequence[Found]:
        of = self._numbers.of
        return [Found(f.steps, of("acting", f.expert), of("acting", f.instead_of)) for f in self._inner.found]
