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
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.acting.evidence import ENOUGH, FOREIGN, Evidence, Stragglers, gather
from lifelong.acting.expert import ActingExpert, Kind, Lately
from lifelong.acting.finder import Finder
from lifelong.acting.policy import Algorithm
from lifelong.acting.returns import Returns
from lifelong.acting.signals import GRAIN, Look, ModelError, Signal
from lifelong.acting.spaces import space_of
from lifelong.acting.world_model import Seen, WorldModel
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

LATE = 8
"""Looks that the model is behind, or more where they are short: what may turn out to belong to another world must not
have been learned."""


SAID_EVERY = 2048
"""Environment steps between two records of what an algorithm says of itself: each costs more than many steps."""


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
        look: int = 256,
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
        self._late = max(LATE, math.ceil(2 * ENOUGH / look))
        self._signal = signal if signal is not None else ModelError()
        self._max_experts = max_experts
        self._experts: list[ActingExpert] = []
        self._active: ActingExpert | None = None
        self._experts_of: dict[str, int] = {}
        self._task: str | None = None
        self._kinds: list[Kind] = []
        self._lately, self._returns = Lately(), Returns()
        self._dates: deque[int] = deque(maxlen=256)
        self._alarm: tuple[Shift, Evidence] | None = None
        self._stragglers: Stragglers | None = None
        self._noted: list[Event] = []
        self._lanes, self._steps, self._surprise, self._turns, self._unsaid = 1, 1, 0.0, 0, 0

    @property
    def threshold(self) -> float | None:
        """What the detector's statistic must exceed to be taken for a shift."""
        return None if self._detector is None else self._detector.threshold

    def live(self, interaction: Interaction) -> Sequence[Update | Event]:
        events = self._arrive(interaction)
        self._lanes, self._steps = len(interaction.lanes), interaction.steps
        left = interaction.steps
        while left:
            expert = self._now
            left -= expert.policy.live(interaction.lanes, left, self._look, self._watch)
            events += self._noted
            self._noted = []
            if self._alarm is not None:
                events += self._turn(*self._alarm, interaction)
                self._alarm = None
        self._unsaid += interaction.steps
        if self._unsaid >= SAID_EVERY:
            values = self._now.policy.logged()
            self._unsaid = 0
            events += [Logged(self._now.number, values)] if values else []
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
        seen = self._see(block) if expert.model.is_ready else None
        lately.add(block, seen, expert.policy)
        for value in self._signal.values(Look(block, seen, returns), expert.model, expert.policy):
            self._surprise = value
            self._dates.append(lately.number)
            shift = expert.detector.update(value)
            # Whoever is told the task does not guess.
            if shift is not None and self._task is None and self._is_foreign(shift):
                return True
        while len(lately.blocks) > (self._late if expert.model.is_ready else 0):
            self._learn_oldest()
        return False

    def _see(self, block: Transitions) -> Seen:
        """What the active expert's model looks at of a block."""
        return self._now.model.see(block.rows(_some(len(block), self._lanes)))

    def _learn_oldest(self) -> None:
        """The oldest block is in doubt no more: the active expert's world is what its model learns from it."""
        block, seen = self._lately.pop()
        model, stragglers = self._now.model, self._stragglers
        if stragglers is None:
            model.learn(block, seen)
            return
        own = stragglers.left_out(block, model, self._lanes)
        self._stragglers = None if stragglers.are_over else stragglers
        if own is not None:
            model.learn(own)

    def _is_foreign(self, shift: Shift) -> bool:
        """There was an alarm: does the expert know this world all the same?"""
        expert, lately, detector = self._now, self._lately, self._now.detector
        assert detector is not None
        onset = self._dates[-min(shift.onset, len(self._dates))]
        while lately.first() + 1 < onset and len(lately) - len(lately.blocks[0][0]) >= ENOUGH:
            self._learn_oldest()
        evidence = gather(lately.transitions(), expert.model, self._lanes)
        if not evidence.is_enough:
            # Too few lanes are in doubt to tell: the alarm stands, and is looked at again with the next look.
            return False
        detector.rearm()
        if self._hindrance(expert, evidence.transitions) <= FOREIGN:
            delay = self._experiences(len(lately))
            self._noted.append(ShiftDismissed(expert.number, delay, shift.statistic, shift.threshold))
            return False
        self._alarm = shift, evidence
        return True

    def _turn(self, shift: Shift, evidence: Evidence, interaction: Interaction) -> list[Event]:
        """The world has shifted: who knows this one?"""
        expert, lately, foreign = self._now, self._lately, evidence.transitions
        delay = self._experiences(len(lately))
        expert.policy.put_back(lately.before())
        events: list[Event] = [
            ShiftDetected(expert.number, delay, shift.statistic, shift.threshold),
            RolledBack(expert.number, delay),
        ]
        others = [e for e in self._experts if e.kind == expert.kind and e is not expert]
        least, number = min(((self._hindrance(e, foreign), e.number) for e in others), default=(math.inf, -1))
        full = self._is_full
        if least > FOREIGN and full:
            # Nobody knows it, and there is no room: the one that it disturbs least goes on in it.
            least, number = min((self._hindrance(e, foreign), e.number) for e in (*others, expert))
        if least <= FOREIGN or full:
            chosen = self._experts[number]
            unexplained = 1.0 - math.exp(-max(0.0, least))
            events.append(ExpertChosen(number, round(unexplained, 6), full=least > FOREIGN))
        else:
            chosen = self._spawn(_stage(interaction))
            events.append(ExpertSpawned(chosen.number, chosen.policy.parameters(), expert.number))
        self._seat(chosen)
        self._stragglers = None if evidence.bar is None else Stragglers(expert.model, evidence.bar)
        chosen.policy.adopt(foreign, self._lanes)
        chosen.model.learn(foreign)
        return events

    @property
    def _is_full(self) -> bool:
        return self._max_experts is not None and len(self._experts) >= self._max_experts

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
        elif known and (interaction.task is None or self._is_full):
            # Nothing has been lived through yet: the one that was here last begins, and the detector does the rest.
            chosen = max(known, key=lambda e: e.seated)
        else:
            chosen = self._spawn(_stage(interaction))
            parent = None if before is None else before.number
            events.append(ExpertSpawned(chosen.number, chosen.policy.parameters(), parent))
        if interaction.task is not None:
            self._experts_of[interaction.task] = chosen.number
        if before is not None:
            self._settle()
        if not events or not isinstance(events[-1], ExpertSpawned):
            events.append(ExpertChosen(chosen.number, 0.0))
        self._seat(chosen)
        return events

    def _settle(self) -> None:
        """It leaves a world that was its own to the end: nothing that it saw is in doubt."""
        while self._lately.blocks:
            self._learn_oldest()

    def _seat(self, expert: ActingExpert) -> None:
        if expert is not self._active or self._alarm is not None:
            # Also where it goes on itself: it was stopped, and does not know where the lanes stand.
            expert.policy.enter()
        self._turns += 1
        expert.seated, self._active = self._turns, expert
        self._lately.begin(expert.policy)
        self._stragglers = None
        self._dates.clear()

    def _spawn(self, stage: Stage) -> ActingExpert:
        number = len(self._experts)
        kind = self._kind(stage.observation_space, stage.action_space)
        policy = self._algorithm.spawn(number, stage)
        detector = deepcopy(self._detector) if self._detector is not None else None
        model = WorldModel(kind.encoding, seed=self._seed)
        self._experts.append(ActingExpert(number, kind, policy, model, detector, lanes=stage.lanes))
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
            "lanes": self._lanes,
            "experts": [e.state_dict() for e in self._experts],
            "active": None if self._active is None else self._active.number,
            "algorithm": self._algorithm.state_dict(),
            "experts_of": dict(self._experts_of),
            "task": self._task,
            "lately": self._lately.state_dict(),
            "dates": list(self._dates),
            "returns": self._returns.state_dict(),
            "stragglers": self._straggling(),
            "numbers": [self._surprise, self._turns, self._unsaid],
        }

    def _straggling(self) -> list[float] | None:
        """Whose world the stragglers are in, and what they are known by."""
        known = self._stragglers
        if known is None:
            return None
        return [next(e.number for e in self._experts if e.model is known.before), known.bar, known.without]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._lanes, self._experts = state["lanes"], []
        for kept in state["experts"]:
            stage = Stage(space_of(kept["observation_space"]), space_of(kept["action_space"]), kept["lanes"])
            self._spawn(stage).load_state_dict(kept)
        self._active = None if state["active"] is None else self._experts[state["active"]]
        self._algorithm.load_state_dict(state["algorithm"])
        self._experts_of, self._task = dict(state["experts_of"]), state["task"]
        self._lately.load_state_dict(state["lately"], self._see)
        self._dates = deque(state["dates"], maxlen=256)
        self._returns.load_state_dict(state["returns"])
        self._stragglers = None
        if state["stragglers"] is not None:
            number, bar, without = state["stragglers"]
            self._stragglers = Stragglers(self._experts[number].model, bar, without)
        self._surprise, self._turns, self._unsaid = state["numbers"]


def _stage(interaction: Interaction) -> Stage:
    return Stage(interaction.observation_space, interaction.action_space, len(interaction.lanes))


@lru_cache(maxsize=8)
def _some(count: int, lanes: int) -> slice | NDArray[np.int64]:
    """Which of so many transitions are looked at: every fourth step of all lanes tells how surprising all were."""
    if count < 4 * 2 * GRAIN:
        return slice(None)
    return np.arange(count).reshape(-1, lanes)[::4].ravel()


def _first(outputs: Tensor, targets: Tensor) -> Tensor:
    """The score of an update is what episodes earned."""
    return outputs[..., 0]
