"""The heart, for worlds to act in: surprised? has the world shifted? then find who knows this one, or spawn.

Follow one interaction through `live`: the active expert's policy acts and learns; every few steps `_watch` is shown
what happened. It asks the expert's model how surprising that was, tells the detector, and stops the policy at an alarm.
`_turn` then asks whose world this is, gives everything since the onset to whom it belongs, and the rest of the steps
are taken by that one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from lifelong.acting.expert import ActingExpert, Kind, Lately
from lifelong.acting.finder import Finder
from lifelong.acting.policy import Algorithm
from lifelong.acting.returns import Returns
from lifelong.acting.signals import Look, ModelError, Signal
from lifelong.acting.world_model import WorldModel
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
from lifelong.interaction import Actor, Interaction, Stage, Transitions
from lifelong.learner import Size
from lifelong.shift.detector import Detector, Shift, must_detect

LATE = 12
"""Looks that the model is behind: what may turn out to belong to another world must not have been learned."""
FOREIGN = 0.5
"""Hindrance (see `WorldModel.hindrance`) above which a world is another one."""
ENOUGH = 256
"""Transitions that it takes to say whose world they come from."""


class LifelongActor:
    """Lives in worlds that change without notice, with a pool of experts that act.

    algorithm: makes their policies. detector: copied for each expert; None: shifts are not looked for. signal: what
    the detector is shown. look: environment steps between two looks. max_experts: where there are so many, the one that
    knows a new world best goes on in it (None: no limit). Raises ValueError for numbers out of range.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        detector: Detector | None,
        signal: Signal | None = None,
        look: int = 128,
        max_experts: int | None = None,
        seed: int = 0,
    ) -> None:
        if look < 1:
            raise ValueError(f"look counts environment steps between two looks: give 1 or more, got {look}.")
        if max_experts is not None and max_experts < 1:
            raise ValueError(f"max_experts must be at least 1, or None for no limit, got {max_experts}.")
        if detector is not None:
            must_detect("detector", detector)
        self._algorithm, self._detector, self._look, self._seed = algorithm, detector, look, seed
        self._signal = signal if signal is not None else ModelError()
        self._max_experts = max_experts
        self._experts: list[ActingExpert] = []
        self._active: ActingExpert | None = None
        self._experts_of: dict[str, int] = {}
        self._task: str | None = None
        self._kinds: list[Kind] = []
        self._lately, self._returns = Lately(), Returns()
        self._dates: deque[int] = deque(maxlen=256)
        self._alarm: Shift | None = None
        self._noted: list[Event] = []
        self._lanes, self._steps, self._surprise, self._turns = 1, 1, 0.0, 0

    @property
    def threshold(self) -> float | None:
        """What the detector's statistic must exceed to be taken for a shift."""
        return None if self._detector is None else self._detector.threshold

    def live(self, interaction: Interaction) -> Sequence[Update | Event]:
        self._lanes, self._steps = len(interaction.lanes), interaction.steps
        events = self._arrive(interaction)
        left = interaction.steps
        while left:
            expert = self._now
            left -= expert.policy.live(interaction.lanes, left, self._look, self._watch)
            events += self._noted
            self._noted = []
            if self._alarm is not None:
                events += self._turn(self._alarm, interaction)
                self._alarm = None
        values = self._now.policy.logged()
        if values:
            events.append(Logged(self._now.number, values))
        return [self._update(interaction.steps), *events]

    @property
    def _now(self) -> ActingExpert:
        assert self._active is not None
        return self._active

    def _watch(self, block: Transitions) -> bool:
        """What the latest steps showed. True where the world is not what it was: the policy must stop."""
        expert, lately = self._now, self._lately
        returns = self._returns.update(block, self._lanes)
        if expert.detector is None:
            return False
        lately.add(block, expert.policy)
        seen = expert.model.see(block) if expert.model.is_ready else None
        for value in self._signal.values(Look(block, seen, returns), expert.model, expert.policy):
            self._surprise = value
            self._dates.append(lately.number)
            shift = expert.detector.update(value)
            # Whoever is told the task does not guess.
            if shift is not None and self._task is None and self._is_foreign(shift):
                return True
        while len(lately.blocks) > (LATE if expert.model.is_ready else 0):
            expert.model.learn(lately.pop())
        return False

    def _is_foreign(self, shift: Shift) -> bool:
        """There was an alarm: does the expert know this world all the same?"""
        expert, lately, detector = self._now, self._lately, self._now.detector
        assert detector is not None
        onset = self._dates[-min(shift.onset, len(self._dates))]
        while lately.first() + 1 < onset and sum(map(len, lately.blocks)) - len(lately.blocks[0]) >= ENOUGH:
            expert.model.learn(lately.pop())
        hindrance = self._hindrance(expert, self._evidence())
        detector.rearm()
        if hindrance <= FOREIGN:
            delay = self._experiences(sum(map(len, lately.blocks)))
            self._noted.append(ShiftDismissed(expert.number, delay, shift.statistic, shift.threshold))
            return False
        self._alarm = shift
        return True

    def _turn(self, shift: Shift, interaction: Interaction) -> list[Event]:
        """The world has shifted: who knows this one?"""
        expert, lately = self._now, self._lately
        disputed, evidence = Transitions.joined(list(lately.blocks)), self._evidence()
        delay = self._experiences(len(disputed))
        expert.policy.put_back(lately.before(), len(disputed))
        events: list[Event] = [
            ShiftDetected(expert.number, delay, shift.statistic, shift.threshold),
            RolledBack(expert.number, delay),
        ]
        others = [e for e in self._experts if e.kind == expert.kind and e is not expert]
        least, number = min(((self._hindrance(e, evidence), e.number) for e in others), default=(math.inf, -1))
        full = self._max_experts is not None and len(self._experts) >= self._max_experts
        if least > FOREIGN and full:
            # Nobody knows it, and there is no room: the one that it disturbs least goes on in it.
            least, number = min((self._hindrance(e, evidence), e.number) for e in (*others, expert))
        if least <= FOREIGN or full:
            chosen = self._experts[number]
            unexplained = 1.0 - math.exp(-max(0.0, least))
            events.append(ExpertChosen(number, round(unexplained, 6), full=least > FOREIGN))
        else:
            chosen = self._spawn(_stage(interaction))
            events.append(ExpertSpawned(chosen.number, chosen.policy.parameters(), expert.number))
        self._seat(chosen)
        chosen.policy.adopt(disputed, self._lanes)
        chosen.model.learn(evidence)
        return events

    def _evidence(self) -> Transitions:
        """What is in doubt, without the look in which the world changed, which is part of one and part of another."""
        blocks = list(self._lately.blocks)
        fair = blocks[1:] if sum(map(len, blocks[1:])) >= ENOUGH else blocks
        return Transitions.joined(fair)

    def _experiences(self, transitions: int) -> int:
        return math.ceil(transitions / self._steps)

    def _hindrance(self, expert: ActingExpert, evidence: Transitions) -> float:
        """How much what it knows is in the way; an expert that has hardly seen a world knows none."""
        return expert.model.hindrance(expert.model.see(evidence)) if expert.model.is_ready else math.inf

    def _arrive(self, interaction: Interaction) -> list[Event]:
        """Who acts, now that something visible changed: the first world, other spaces, a label or a boundary."""
        kind = self._kind(interaction.observation_space, interaction.action_space)
        before, told = self._active, interaction.task is not None and interaction.task != self._task
        if before is not None and before.kind == kind and not told and not interaction.boundary:
            return []
        self._task = interaction.task
        events: list[Event] = [] if before is None else [ShiftSeen(before.number)]
        known = [e for e in self._experts if e.kind == kind]
        number = self._experts_of.get(interaction.task) if interaction.task is not None else None
        if number is not None:
            chosen = self._experts[number]
        elif known and interaction.task is None:
            # Nothing has been lived through yet: the one that was here last begins, and the detector does the rest.
            chosen = max(known, key=lambda e: e.seated)
        else:
            chosen = self._spawn(_stage(interaction))
            parent = None if before is None else before.number
            events.append(ExpertSpawned(chosen.number, chosen.policy.parameters(), parent))
        if interaction.task is not None:
            self._experts_of[interaction.task] = chosen.number
        if before is not None:
            self._settle(before)
        if not events or not isinstance(events[-1], ExpertSpawned):
            events.append(ExpertChosen(chosen.number, 0.0))
        self._seat(chosen)
        return events

    def _settle(self, expert: ActingExpert) -> None:
        """It leaves a world that was its own to the end: nothing that it saw is in doubt."""
        while self._lately.blocks:
            expert.model.learn(self._lately.pop())

    def _seat(self, expert: ActingExpert) -> None:
        if expert is not self._active:
            expert.policy.enter()
        self._turns += 1
        expert.seated, self._active = self._turns, expert
        self._lately.begin(expert.policy)
        self._dates.clear()

    def _spawn(self, stage: Stage) -> ActingExpert:
        number = len(self._experts)
        kind = self._kind(stage.observation_space, stage.action_space)
        policy = self._algorithm.spawn(number, stage)
        detector = deepcopy(self._detector) if self._detector is not None else None
        self._experts.append(ActingExpert(number, kind, policy, WorldModel(kind.encoding, seed=self._seed), detector))
        return self._experts[-1]

    def _kind(self, observation_space: Any, action_space: Any) -> Kind:
        """The same object for equal spaces, so that they are compared once."""
        for kind in self._kinds:
            if kind.is_of(observation_space, action_space):
                return kind
        self._kinds.append(Kind.of(observation_space, action_space))
        return self._kinds[-1]

    def _update(self, steps: int) -> Update:
        expert = self._now
        statistic = expert.detector.statistic if expert.detector is not None else 0.0
        earned, loss = torch.tensor([[self._returns.latest]]), torch.tensor(self._surprise)
        return Update(expert.number, loss, earned, torch.zeros(1), _first, statistic, steps)

    def actor(self, stage: Stage) -> Actor:
        kind = self._kind(stage.observation_space, stage.action_space)
        number = None if stage.task is None else self._experts_of.get(stage.task)
        known = [e for e in self._experts if e.kind == kind] if number is None else [self._experts[number]]
        return Finder(sorted(known, key=lambda e: -e.seated), stage)

    def size(self) -> Size:
        parameters = sum(e.policy.parameters() for e in self._experts)
        return Size(len(self._experts), parameters, sum(e.policy.bytes() + e.model.bytes() for e in self._experts))

    def state_dict(self) -> dict[str, Any]:
        return {
            "algorithm": self._algorithm.state_dict(),
            "experts": [e.state_dict() for e in self._experts],
            "active": None if self._active is None else self._active.number,
            "experts_of": dict(self._experts_of),
            "task": self._task,
            "returns": self._returns.state_dict(),
            "numbers": [self._surprise, self._turns],
        }


def _stage(interaction: Interaction) -> Stage:
    return Stage(interaction.observation_space, interaction.action_space, len(interaction.lanes))


def _first(outputs: Tensor, targets: Tensor) -> Tensor:
    """The score of an update is what episodes earned."""
    return outputs[..., 0]
