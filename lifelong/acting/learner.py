"""The heart, for worlds to act in: surprised? has the world shifted? then find who knows this one, or spawn.

Follow one interaction through `live`: the active expert's policy acts and learns; every few steps its stay is shown
what happened (`ActingStay.watch`), asks the expert's model how surprising that was, tells the detector, and stops the
policy where the world is another one. `_turn` then asks whose world this is, gives everything since the onset to whom
it belongs, and the rest of the steps are taken by that one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.acting.blindness import blind_steps
from lifelong.acting.evidence import FOREIGN, Evidence
from lifelong.acting.expert import ActingExpert
from lifelong.acting.finder import Finder
from lifelong.acting.policy import Algorithm
from lifelong.acting.pool import ActingPool
from lifelong.acting.signals import ModelError, Signal
from lifelong.acting.stay import ActingStay
from lifelong.events import (
    Event,
    ExpertChosen,
    ExpertSpawned,
    Logged,
    RolledBack,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    Update,
)
from lifelong.interaction import Actor, Interaction, Stage
from lifelong.learner import Size
from lifelong.shift.detector import Detector, Shift, must_detect
from lifelong.shift.unlabelled.watch import patient

SAID_EVERY = 2048
"""Environment steps between two records of what an algorithm says of itself: each costs more than many steps."""


class LifelongActor:
    """Lives in worlds that change without notice, with a pool of experts that act.

    algorithm: makes their policies. detector: copied for each expert; None: shifts are not looked for. signal: what
    the detector is shown. look: environment steps between two looks. max_experts: where there are so many, the one that
    knows a new world best goes on in it (None: no limit). starts: whether episodes that begin in another way are a sign
    of another world, too. inherit: whether a new expert begins with what the one before it knows, instead of nothing.
    Raises ValueError for numbers out of range.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        detector: Detector | None,
        signal: Signal | None = None,
        look: int = 256,
        max_experts: int | None = None,
        seed: int = 0,
        starts: bool = True,
        inherit: bool = False,
    ) -> None:
        if look < 1:
            raise ValueError(f"look counts environment steps between two looks: give 1 or more, got {look}.")
        if max_experts is not None and max_experts < 1:
            raise ValueError(f"max_experts must be at least 1, or None for no limit, got {max_experts}.")
        if detector is not None:
            must_detect("detector", detector)
        self._inherit = inherit
        guard = patient() if starts and detector is not None else None
        self._look, self._pool = look, ActingPool(algorithm, detector, guard, max_experts, seed)
        self._stay = ActingStay(signal if signal is not None else ModelError(), look, self._pool)
        self._experts_of: dict[str, int] = {}
        self._task: str | None = None
        self._unsaid = 0

    @property
    def threshold(self) -> float | None:
        """What the detector's statistic must exceed to be taken for a shift."""
        return self._pool.threshold

    @property
    def experts(self) -> Sequence[ActingExpert]:
        return tuple(self._pool.experts)

    def check(self, stage: Stage) -> None:
        """Raises ValueError where experts could not act in such a world. Nothing is changed."""
        self._pool.check(stage)

    def blind(self, stage: Stage) -> int | None:
        """See `blind_steps`; None also where it is told which world it is in."""
        if stage.task is not None:
            return None
        return blind_steps(self._look, stage.lanes, self._stay.signal, self._pool.detector)

    def live(self, interaction: Interaction) -> Sequence[Update | Event]:
        events, stay = self._arrive(interaction), self._stay
        left = interaction.steps
        while left:
            left -= stay.live(interaction, left, self._look)
            number = stay.active.number
            events += [ShiftDismissed(number, _count(n, interaction), *_read(shift)) for shift, n in stay.dismissed]
            stay.dismissed = []
            if stay.alarm is not None:
                events += self._turn(*stay.alarm, interaction)
        self._unsaid += interaction.steps
        if self._unsaid >= SAID_EVERY:
            self._unsaid = 0
            values = stay.active.policy.logged()
            events += [Logged(stay.active.number, values)] if values else []
        return [self._update(interaction.steps), *events]

    def _turn(self, shift: Shift, evidence: Evidence, by: str, interaction: Interaction) -> list[Event]:
        """The world has shifted: who knows this one?"""
        stay, pool, expert, foreign = self._stay, self._pool, self._stay.active, evidence.transitions
        delay = _count(len(stay.lately), interaction)
        events: list[Event] = [ShiftDetected(expert.number, delay, *_read(shift), by)]
        least, nearest = pool.nearest(evidence, expert)
        if nearest is expert:
            # There is no room, and nobody knows this world better: it learns on, and what it saw is its own.
            stay.go_on()
            return [*events, ExpertChosen(expert.number, _unexplained(least), full=True)]
        expert.policy.put_back(stay.lately.before())
        events.append(RolledBack(expert.number, delay))
        if nearest is not None and (least <= FOREIGN or pool.is_full):
            chosen = nearest
            if least > FOREIGN:
                chosen.lives_in_another()
            events.append(ExpertChosen(chosen.number, _unexplained(least), full=least > FOREIGN))
        else:
            chosen = self._spawn(interaction, expert)
            events.append(ExpertSpawned(chosen.number, chosen.policy.parameters(), expert.number))
        pool.seat(chosen)
        stay.begin(chosen, evidence)
        chosen.policy.adopt(foreign, stay.lanes)
        chosen.model.learn(foreign, doubtful=evidence.bar is not None)
        chosen.starts.learn(evidence.starts)
        return events

    def _arrive(self, interaction: Interaction) -> list[Event]:
        """Who acts, now that something visible changed: the first world, other spaces, a label or a boundary."""
        stay, pool = self._stay, self._pool
        kind = pool.kind(interaction.observation_space, interaction.action_space)
        before, told = stay.expert, interaction.task is not None and interaction.task != self._task
        if before is not None and before.kind == kind and not told and not interaction.boundary:
            return []
        self._task = interaction.task
        # Whoever is told the task does not guess.
        stay.guesses = interaction.task is None
        events: list[Event] = [] if before is None else [ShiftSeen(before.number)]
        crowded = False
        known = pool.of(kind)
        number = self._experts_of.get(interaction.task) if interaction.task is not None else None
        if number is not None:
            chosen = pool.experts[number]
        elif known and (interaction.task is None or pool.is_full):
            # Nothing has been lived through yet: the one that was here last begins, and the detector does the rest.
            chosen = known[0]
            # It is told that this is a world that nobody knows.
            crowded = told and not pool.is_one
        else:
            chosen = self._spawn(interaction, before if before is not None and before.kind == kind else None)
            parent = None if before is None else before.number
            events.append(ExpertSpawned(chosen.number, chosen.policy.parameters(), parent))
        if interaction.task is not None:
            self._experts_of[interaction.task] = chosen.number
        if before is not None:
            stay.settle()
        if not events or not isinstance(events[-1], ExpertSpawned):
            events.append(ExpertChosen(chosen.number, 1.0 if crowded else 0.0, crowded))
        pool.seat(chosen)
        stay.begin(chosen)
        return events

    def _spawn(self, interaction: Interaction, parent: ActingExpert | None) -> ActingExpert:
        spawned = self._pool.spawn(_stage(interaction))
        if self._inherit and parent is not None:
            spawned.policy.inherit(parent.policy)
        return spawned

    def _update(self, steps: int) -> Update:
        stay, detector = self._stay, self._stay.active.detector
        statistic = detector.statistic if detector is not None else 0.0
        earned, loss = torch.tensor([[stay.returns.taken()]]), torch.tensor(stay.surprise)
        return Update(stay.active.number, loss, earned, torch.zeros(1), _first, statistic, steps)

    def actor(self, stage: Stage) -> Actor:
        number = None if stage.task is None else self._experts_of.get(stage.task)
        if number is not None:
            return Finder([self._pool.experts[number]], stage)
        return Finder(self._pool.of(self._pool.kind(stage.observation_space, stage.action_space)), stage)

    def size(self) -> Size:
        return self._pool.size()

    def state_dict(self) -> dict[str, Any]:
        return {
            "pool": self._pool.state_dict(),
            "stay": self._stay.state_dict(),
            "experts_of": dict(self._experts_of),
            "task": self._task,
            "unsaid": self._unsaid,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pool.load_state_dict(state["pool"])
        self._stay.load_state_dict(state["stay"])
        self._experts_of, self._task, self._unsaid = dict(state["experts_of"]), state["task"], state["unsaid"]


def _count(transitions: int, interaction: Interaction) -> int:
    """In experiences, begun ones too."""
    return math.ceil(transitions / interaction.steps)


def _unexplained(foreignness: float) -> float:
    return round(1.0 - math.exp(-max(0.0, foreignness)), 6)


def _read(shift: Shift) -> tuple[float, float]:
    return shift.statistic, shift.threshold


def _stage(interaction: Interaction) -> Stage:
    return Stage(interaction.observation_space, interaction.action_space, len(interaction.lanes))


def _first(outputs: Tensor, targets: Tensor) -> Tensor:
    """The score of an update is what episodes earned."""
    return outputs[..., 0]
