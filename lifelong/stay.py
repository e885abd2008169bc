"""The active expert's time in its world: it learns, it is watched, and what it becomes known for is kept as it leaves.

Decides nothing: who stays, who goes and who comes is the `LifelongLearner`'s business.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lifelong.anchor import Anchor
from lifelong.dispatch import STRETCHES, Dispatcher, Portrait
from lifelong.events import Event, ExpertDissolved, Update
from lifelong.experience import Batch
from lifelong.expert import Expert, Normal
from lifelong.pool import Pool
from lifelong.shift.detector import Shift
from lifelong.shift.onset import since_rise
from lifelong.shrinking import shown
from lifelong.trail import Trail
from lifelong.transit import Transit
from lifelong.watch import Alarm

SOON = 20
"""Batches after which an expert that came back is held on to as it is."""

NORMAL_WINDOW = 30
"""Latest batches whose losses tell what is normal for an expert; few, so that no learning curve is in them."""


class Stay:
    """One expert at a time. trail: the way back. anchor: what it was (None: drift is not looked for)."""

    def __init__(self, pool: Pool, dispatcher: Dispatcher, trail: Trail, anchor: Anchor | None) -> None:
        self.expert: Expert | None = None
        self.transit, self._looked = Transit(lambda: trail.position), 0
        self._pool, self._dispatcher, self._trail, self.anchor = pool, dispatcher, trail, anchor
        self.unread: list[tuple[Tensor, Batch, Tensor, float]] = []
        # As many as can be taken back, and beyond those what is normal.
        self._losses: deque[float] = deque(maxlen=NORMAL_WINDOW + trail.reach)
        self._live: tuple[int, int, Portrait] | None = None

    @property
    def active(self) -> Expert:
        assert self.expert is not None
        return self.expert

    @property
    def recent(self) -> Sequence[Batch]:
        """The latest batches, oldest first."""
        return self._trail.recent()

    @property
    def level(self) -> float:
        """The loss of the latest batches, before they were learned; without any, that of the latest ones now."""
        losses = self._finite() or [
            float(b.contract.objective.loss(self.active.answer(b.inputs, b.contract, b.task), b.targets))
            for b in self.recent[-8:]
        ]
        return statistics.fmean(losses)

    def begin(
        self, expert: Expert, same_world: bool = False, in_transit: bool = False, after: Expert | None = None
    ) -> None:
        """`expert` learns from now on. same_world: the latest batches are of its world already.

        in_transit: it was made for a world that may be drifting. after: whom it succeeded in one that is known to.
        """
        self.expert, self._looked = expert, 0
        self.transit.begin(in_transit, None if after is None else after.number)
        # What it was suspicious of when it left is no evidence against the world that it comes to.
        expert.watch.rearm()
        expert.seated = 1 + max(one.seated for one in self._pool.experts)
        self.unread.clear()
        self._losses.clear()
        if self.anchor is not None:
            self.anchor.lift()
        if same_world:
            self._trail.pass_on()
        else:
            self._trail.clear()
        self._pool.tidy(expert)

    def learn(self, batch: Batch) -> Update:
        self._trail.note(self.active, batch)
        shrinking = self.active.shrinking
        excess = 0.0 if shrinking is None else shrinking.excess
        update = self.active.update(batch)
        self.unread.append((update.loss, batch, update.outputs, excess))
        return update

    def read(self) -> Alarm | None:
        """Show the watch what happened since the last look; an alarm's onset is counted back from the newest batch."""
        unread = self.unread
        losses = torch.stack([loss for loss, *_ in unread]).tolist() if len(unread) > 1 else [unread[0][0].item()]
        alarm, watch = None, self.active.watch
        for loss, (_, batch, outputs, excess) in zip(losses, unread, strict=True):
            self._losses.append(loss)
            if alarm is not None:
                shift = alarm.shift
                alarm = Alarm(Shift(shift.onset + 1, shift.statistic, shift.threshold), alarm.by)
            else:
                alarm = watch.update(shown(loss, excess, self._losses), batch.inputs, outputs)
        unread.clear()
        return alarm

    def rewind(self, count: int) -> list[Batch]:
        """Take back the last `count` batches, as far as can be, and return them."""
        evidence = self._trail.rewind(self.active, count)
        for _ in evidence:
            self._losses.pop()
        return evidence

    def keep_own(self, evidence: list[Batch]) -> list[Batch]:
        """Give batches at the beginning of the evidence back to the active expert where it explains them.

        A detector dates an onset by losses that were falling or rising anyhow; the expert as it was before them tells
        its own batches from foreign ones far more clearly, and one of its own must not speak for the new world.
        """
        expert, losses = self.active, []
        for batch in evidence:
            outputs = expert.answer(batch.inputs, batch.contract, batch.task)
            losses.append(float(batch.contract.objective.loss(outputs, batch.targets)))
        own = len(evidence) - since_rise(losses)
        for batch in evidence[:own]:
            self._trail.note(expert, batch)
            self._losses.append(expert.update(batch).loss.item())
        return evidence[own:]

    def relearn(self, evidence: Sequence[Batch]) -> None:
        """Learn batches that were taken back. What they show teaches the watch what is normal, and raises no alarm."""
        watch = self.active.watch
        watch.rearm()
        for batch in evidence:
            self._trail.note(self.active, batch)
            update = self.active.update(batch)
            loss = update.loss.item()
            self._losses.append(loss)
            watch.update(loss, batch.inputs, update.outputs)
        watch.rearm()

    def settle(self) -> None:
        """Remember what the expert's loss is like in its own world; too short a stay tells nothing new."""
        losses = self._finite()
        if len(losses) >= 3 or (losses and self.active.normal is None):
            spread = statistics.stdev(losses) if len(losses) > 1 else abs(losses[0])
            self.active.normal = Normal(statistics.fmean(losses), spread)

    def _finite(self) -> list[float]:
        """The latest losses; one that is not a number says nothing of what is normal."""
        return [loss for loss in list(self._losses)[-NORMAL_WINDOW:] if math.isfinite(loss)]

    def close(self) -> list[Event]:
        """This world is said to end here: retention methods act on that now, before anybody is judged."""
        return self.active.remember(self.recent)

    def end(self, closed: bool = False) -> list[Event]:
        """Keep what the expert knows: what its inputs look like, and the directions that its foundation must spare."""
        return self.keep(self.active, [*(() if self.anchor is None else self.anchor.times), self.recent], closed)

    def keep(self, expert: Expert, worlds: Sequence[Sequence[Batch]], closed: bool = False) -> list[Event]:
        """The same for any expert, by batches of its worlds, the latest last; dissolves it into one that knows them."""
        worlds = [batches for batches in worlds if batches]
        rivals: list[Expert] = []
        for batches in worlds:
            rivals = self._hang(expert, batches)
        if worlds and worlds[-1][-1].task is None and (twin := self._twin(expert, worlds, rivals)) is not None:
            return self.dissolve(expert, twin)
        events: list[Event] = []
        for batches in worlds if len(expert.stretches) > 1 else worlds[-1:]:
            events += expert.spare(batches) if closed else expert.consolidate(batches)
        expert.rest()
        return events

    def _hang(self, expert: Expert, batches: Sequence[Batch]) -> list[Expert]:
        """Remember how these batches of the expert's world look; whose else look the same."""
        portrait = self._dispatcher.portray(expert, batches, self._pool.experts)
        expert.stretches = portrait.hang(expert.stretches)
        for number, place in portrait.alike:
            self._pool.expert(number).stretches[place].rivals.add(expert.number)
        return [self._pool.expert(number) for number in sorted(portrait.stretch.rivals)]

    def _twin(self, expert: Expert, worlds: Sequence[Sequence[Batch]], rivals: Sequence[Expert]) -> Expert | None:
        """Who of the rivals is at home in every world that `expert` knows, as far as samples of them are there."""
        if not rivals or len(expert.stretches) > 1:
            return None
        twin = next(iter(self._pool.judge(worlds[-1], rivals)), None)
        if twin is None:
            return None
        for batches in worlds:
            at_home = all(self._pool.is_at_home(verdict) for verdict in self._pool.judge(batches, [twin.expert]))
            # Who has done badly of late is at home anywhere: a twin is not much worse than who leaves, too.
            if not at_home or not self._pool.covers([twin.expert], batches, self._pool.loss(expert, batches), 1.0):
                return None
        return twin.expert

    def hold_on(self) -> None:
        """From now on the active expert is held against what it is now, and its world of now is one that it knows."""
        assert self.anchor is not None
        self.anchor.drop(self.active, self.recent, self.level)
        if not self.transit.follows:
            self._hang(self.active, self.recent)

    def is_covered(self, itself: bool) -> bool:
        """Whether what the active expert was is no loss: others, and `itself` as it has become, know it together."""
        assert self.anchor is not None
        others = [expert for expert in self._pool.experts if expert is not self.expert]
        for batches, known in zip(self.anchor.times, self.anchor.known, strict=True):
            # Of many, somebody is right about anything.
            likely = [verdict.expert for verdict in self._pool.judge(batches, others)[:2]]
            if not self._pool.covers([*likely, *([self.active] if itself else ())], batches, known):
                return False
        return True

    def is_nobody(self) -> bool:
        """Whether nothing is lost with the active expert, which was made in a world that is still on its way."""
        if not self.transit.follows:
            return self.transit.is_passing
        # A successor took over what another had become: that may be a world that nobody else knows.
        return self.anchor is not None and self.anchor.is_down and self.is_covered(itself=False)

    def widen(self) -> list[Event]:
        """The active expert's world has come to hold more than its anchor's: keep what it knows of that, and go on."""
        expert, anchor = self.active, self.anchor
        assert anchor is not None
        self._hang(expert, anchor.kept)
        grown: list[Event] = list(expert.consolidate(anchor.kept))
        expert.reguard()
        return grown

    def dissolve(self, expert: Expert, into: Expert) -> list[Event]:
        """`into` takes the place of `expert`."""
        expert.rest()
        self._pool.dissolve(expert, into)
        into.stretches = [*expert.stretches, *into.stretches][-STRETCHES:]
        for stretch in into.stretches:
            stretch.rivals.discard(into.number)
        return [ExpertDissolved(expert.number, into.number)]

    def is_due(self) -> bool:
        """Whether it is time to look back; the next time is counted from then."""
        if self.anchor is None:
            return False
        # Who comes back has somebody to lose from the first batch on.
        gap = self.anchor.gap if self.anchor.is_down or self.active.normal is None else min(SOON, self.anchor.gap)
        if self._trail.position - self._looked < gap:
            return False
        self._looked = self._trail.position
        return True

    def portrait(self) -> Portrait | None:
        """How the active expert's inputs look now; kept until it learns again, and no part of the state."""
        if self._trail.is_empty:
            return None
        key = (self.active.number, self._trail.position)
        if self._live is None or self._live[:2] != key:
            self._live = (*key, self._dispatcher.portray(self.active, self.recent, self._pool.experts))
        return self._live[2]

    def stored(self) -> tuple[int, int]:
        """Samples of the stream that are kept now, and their bytes: the trail's, and those of the anchor's worlds."""
        anchored = [] if self.anchor is None else [batch for batches in self.anchor.times for batch in batches]
        kept = {id(batch): batch for batch in (*self._trail.kept(), *anchored)}.values()
        held = sum(t.numel() * t.element_size() for batch in kept for t in (batch.inputs, batch.targets))
        return sum(len(batch.targets) for batch in kept), held

    def state_dict(self) -> dict[str, Any]:
        return {
            "expert": None if self.expert is None else self.expert.number,
            "trail": self._trail.state_dict(),
            "anchor": None if self.anchor is None else self.anchor.state_dict(),
            "unread": [
                (loss, replace(b, inputs=b.inputs.clone(), targets=b.targets.clone()), outputs, excess)
                for loss, b, outputs, excess in self.unread
            ],
            "losses": list(self._losses),
            "looked": self._looked,
            "transit": self.transit.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; the pool must have been restored before."""
        self.expert = None if state["expert"] is None else self._pool.expert(state["expert"])
        self._trail.load_state_dict(state["trail"])
        if self.anchor is not None and state["anchor"] is not None:
            self.anchor.load_state_dict(state["anchor"])
        self.unread = [(loss, batch, outputs, excess) for loss, batch, outputs, excess in state["unread"]]
        self.transit.load_state_dict(state["transit"])
        self._looked = state["looked"]
        self._losses, self._live = deque(state["losses"], maxlen=self._losses.maxlen), None
