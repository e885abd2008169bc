"""One expert's time in a world: what it meets there, how surprising that is, and what is still in doubt.

A block is what the policy's steps showed between two looks. It is told to the detector at once, and learned by the
model late, so that what turns out to come from another world was never learned.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifelong.acting.encoding import Rows
from lifelong.acting.evidence import ENOUGH, Evidence, Stragglers, gather
from lifelong.acting.expert import ActingExpert, Lately
from lifelong.acting.pool import ActingPool
from lifelong.acting.returns import Returns
from lifelong.acting.sign import Sign
from lifelong.acting.signals import GRAIN, Look, Signal
from lifelong.acting.starts import FEW, Begun
from lifelong.acting.world_model import Seen
from lifelong.finite import must_be_finite
from lifelong.interaction import Interaction, Transitions
from lifelong.shift.detector import Detector, Shift
from lifelong.shift.unlabelled.watch import LIFT

if TYPE_CHECKING:
    from lifelong.interaction import Lane

LATE = 8
"""Looks that the model is behind, or more where they are short: what may turn out to belong to another world must not
have been learned."""


class ActingStay:
    """What the active expert sees. surprise: the latest value that its detector was shown.

    alarm: a shift, the evidence for it that the expert cannot explain, and what gave it away (None: all is well).
    dismissed: alarms that it could explain, each with the transitions since its onset.
    """

    def __init__(self, signal: Signal, look: int, pool: ActingPool) -> None:
        self._pool, self.signal, self._late = pool, signal, max(LATE, math.ceil(2 * ENOUGH / look))
        self.expert: ActingExpert | None = None
        self._worlds: tuple[Lane, ...] = ()
        self.lanes, self.surprise, self._unseen = 1, 0.0, 0
        self.returns, self.lately, self._begun = Returns(), Lately(), Begun()
        self.alarm: tuple[Shift, Evidence, str] | None = None
        self.dismissed: list[tuple[Shift, int]] = []
        self.guesses = True
        self._stragglers: Stragglers | None = None
        # Dated by blocks, and by the numbers of first observations.
        self._surprises, self._strangers = Sign(), Sign()

    @property
    def active(self) -> ActingExpert:
        assert self.expert is not None
        return self.expert

    def begin(self, expert: ActingExpert, after: Evidence | None = None) -> None:
        """Another expert takes over; `after`: the evidence that this is another world than the last one's."""
        before = self.expert
        if before is not None and expert.kind != before.kind:
            self._begun.forget()
        if expert is not before or after is not None:
            # Also where it goes on itself: it was stopped, and does not know where the lanes stand.
            expert.policy.enter()
        self.expert, self.alarm = expert, None
        self.lately.begin(expert.policy)
        self._surprises.begin()
        self._strangers.begin()
        self._stragglers = None
        if after is not None and after.bar is not None and before is not None:
            self._stragglers = Stragglers(before, after.bar)

    def live(self, interaction: Interaction, steps: int, look: int) -> int:
        """Let the active expert's policy take these steps, or fewer where an alarm stops it; returns how many."""
        policy = self.active.policy
        if self.active.detector is not None and not self._unseen:
            # What it learned from the latest block is its own, if the block was.
            self.lately.renew(policy)
        self._worlds, self.lanes = interaction.lanes, len(interaction.lanes)
        taken = policy.live(interaction.lanes, steps, look, self.watch)
        self._unseen += taken
        return taken

    def watch(self, block: Transitions) -> bool:
        """What the latest steps showed. True where the world is not what it was: the policy must stop.

        Raises ValueError where they showed what is no finite number.
        """
        must_be_finite(block, self._worlds)
        expert, lately = self.active, self.lately
        self._unseen -= len(block)
        returns = self.returns.update(block, self.lanes)
        if expert.detector is None:
            return False
        seen = self._see(block) if expert.model.is_ready else None
        lately.add(block, seen, expert.policy)
        values = self.signal.values(Look(block, seen, returns), expert.model, expert.policy)
        if len(values):
            self.surprise = values[-1]
            self._surprises.show(expert.detector, values, [lately.number] * len(values), self.guesses)
        if expert.guard is not None:
            self._welcome(block, expert, expert.guard)
        if self._is_foreign():
            return True
        while len(lately.blocks) > (self._late if expert.model.is_ready else 0):
            self._learn_oldest()
        return False

    def _welcome(self, block: Transitions, expert: ActingExpert, guard: Detector) -> None:
        """How unlike its own the active expert's episodes begin."""
        count = self._begun.count
        rows = self._begun.update(block, self.lately.number, self.lanes, expert.kind.encoding)
        if len(rows) and expert.starts.is_ready:
            values = [LIFT + float(value) for value in expert.starts.each(rows)]
            self._strangers.show(guard, values, range(count, self._begun.count), self.guesses)

    def _see(self, block: Transitions) -> Seen:
        """What the active expert's model looks at of a block."""
        return self.active.model.see(block.rows(some(len(block), self.lanes)))

    def _learn_oldest(self) -> None:
        """The oldest block is in doubt no more: the active expert's world is what its model learns from it."""
        if self.active.guard is not None:
            self.active.starts.learn(self._begun.within(self.lately.first() + 1))
        block, seen = self.lately.pop()
        model, stragglers = self.active.model, self._stragglers
        if stragglers is None:
            model.learn(block, seen)
            return
        own = stragglers.left_out(block, model, self.lanes)
        self._stragglers = None if stragglers.are_over else stragglers
        if own is not None:
            model.learn(own, doubtful=True)

    def _is_foreign(self) -> bool:
        """Is there an alarm, and is this another world than the active expert's?"""
        if self._surprises.standing is not None:
            shift, onset = self._surprises.standing
            if self._judge(self._surprises, shift, onset, self._begun.after(onset), "surprise"):
                return True
        if self._strangers.standing is not None:
            shift, number = self._strangers.standing
            starts = self._begun.since(number)
            onset = max(self._begun.block_of(number), self.lately.first() + 1)
            return len(starts) >= FEW and self._judge(self._strangers, shift, onset, starts, "starts")
        return False

    def _judge(self, sign: Sign, shift: Shift, onset: int, starts: Rows, by: str) -> bool:
        """There was an alarm, of something that began in block `onset`: does the expert know this world all the same?

        Where too little was seen since, or too few lanes are in doubt, the alarm stands until the next look.
        """
        expert, lately, detector = self.active, self.lately, self.active.detector
        assert detector is not None
        since = lately.transitions()[max(0, onset - 1 - lately.first()) :]
        evidence = replace(gather(since, expert.model, self.lanes), starts=starts)
        if not evidence.is_enough:
            return False
        while lately.first() + 1 < onset:
            self._learn_oldest()
        sign.standing = None
        detector.rearm()
        if expert.guard is not None:
            expert.guard.rearm()
        if not self._pool.is_foreign(evidence, expert):
            self.dismissed.append((shift, len(lately)))
            return False
        self.alarm = shift, evidence, by
        return True

    def go_on(self) -> None:
        """The world is another one, and the active expert learns it all the same."""
        self.settle()
        self.active.lives_in_another()
        self.begin(self.active)
        # It was stopped, and does not know where the lanes stand.
        self.active.policy.enter()

    def settle(self) -> None:
        """The expert leaves a world that was its own to the end: nothing that it saw is in doubt."""
        while self.lately.blocks:
            self._learn_oldest()

    def state_dict(self) -> dict[str, Any]:
        late = self._stragglers
        return {
            "expert": None if self.expert is None else self.expert.number,
            "lanes": self.lanes,
            "numbers": [self.surprise, self._unseen],
            "returns": self.returns.state_dict(),
            "lately": self.lately.state_dict(),
            "begun": self._begun.state_dict(),
            "surprises": self._surprises.state_dict(),
            "strangers": self._strangers.state_dict(),
            "guesses": self.guesses,
            "stragglers": None if late is None else [late.before.number, late.bar, late.without],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pool = self._pool
        self.expert = None if state["expert"] is None else pool.experts[state["expert"]]
        self.lanes, self.guesses = state["lanes"], state["guesses"]
        self.surprise, self._unseen = state["numbers"]
        self.returns.load_state_dict(state["returns"])
        self.lately.load_state_dict(state["lately"], self._see)
        self._begun.load_state_dict(state["begun"])
        self._surprises.load_state_dict(state["surprises"])
        self._strangers.load_state_dict(state["strangers"])
        self._stragglers = None
        if state["stragglers"] is not None:
            number, bar, without = state["stragglers"]
            self._stragglers = Stragglers(pool.experts[number], bar, without)


@lru_cache(maxsize=8)
def some(count: int, lanes: int) -> slice | NDArray[np.int64]:
    """Which transitions of a block are looked at: every fourth step of all lanes tells how surprising all were."""
    if count < 4 * 2 * GRAIN:
        return slice(None)
    return np.arange(count).reshape(-1, lanes)[::4].ravel()
