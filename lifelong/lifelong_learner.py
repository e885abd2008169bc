"""The heart: surprised? has the world shifted? if so keep what was known, find who knows the new one, or spawn.

Follow one batch through `learn`: it is learned, what it showed is put to the active expert's watch, and that is all
unless there is an alarm. Then `_turn` undoes what was learned since the onset, lets the experts explain the evidence,
and gives it to the one that does, or to a new one. Now and then `_look_back` asks whether the world has drifted without
an alarm. The cost of a step does not depend on how many experts there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lifelong.anchor import Anchor
from lifelong.border import Border
from lifelong.dispatch import Dispatcher
from lifelong.events import (
    DriftDetected,
    DriftFollowed,
    Event,
    ExpertChosen,
    ExpertSpawned,
    RolledBack,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    Update,
)
from lifelong.experience import Batch, Prediction, Prospect, Query
from lifelong.expert import Expert
from lifelong.learner import Size
from lifelong.pool import Pool, Verdict
from lifelong.retention.needs import are_particular, await_ends, check, shows_ends
from lifelong.start import PARTLY
from lifelong.stay import Stay
from lifelong.trail import Trail
from lifelong.watch import Alarm

RECOVERY = 20
"""Batches after a pruning within which a rise of the loss is its doing."""


class LifelongLearner:
    """Learns a stream whose tasks change without notice, with a pool of experts.

    read_every: batches between two looks at the losses. 1 on the CPU; more on a GPU, where reading a value makes the
    host wait, and where the trail undoes what happened between onset and look. anchor: finds drift that no alarm gives
    away (None: it is not looked for). Needs a pool whose experts watch out.
    """

    def __init__(
        self, pool: Pool, dispatcher: Dispatcher, trail: Trail, read_every: int = 1, anchor: Anchor | None = None
    ) -> None:
        if read_every < 1:
            raise ValueError(f"read_every must be at least 1 batch, got {read_every}.")
        if pool.threshold is None:
            raise ValueError("A LifelongLearner needs a pool whose upbringing names a watch, got one without.")
        self._pool, self._dispatcher, self._read_every = pool, dispatcher, read_every
        self._stay = Stay(pool, dispatcher, trail, anchor)
        self._experts_of: dict[str, int] = {}
        self._border = Border()

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        return (*self._go_on(batch), *(self._stay.close() if batch.ends else ()))

    def _go_on(self, batch: Batch) -> Sequence[Update | Event]:
        stay = self._stay
        before = self._arrive(batch) if stay.expert is None or self._border.begins(batch) else ()
        self._border.passed(batch)
        update = stay.learn(batch)
        if len(stay.unread) < self._read_every:
            return (update, *before)
        alarm = stay.read()
        if batch.task is not None:
            # Whoever is told the task does not guess.
            if alarm is not None:
                stay.active.watch.rearm()
            return (update, *before)
        after = self._turn(alarm) if alarm is not None else self._look_back() if stay.is_due() else ()
        return (update, *before, *after)

    def _turn(self, alarm: Alarm) -> list[Event]:
        """There was an alarm: undo, judge, and hand the evidence to whoever shall learn it."""
        stay, expert, shift = self._stay, self._stay.active, alarm.shift
        was_cut = expert.shrinking is not None and expert.shrinking.was_cut(shift.onset + RECOVERY)
        evidence = stay.rewind(shift.onset)
        stay.settle()
        if alarm.by == "loss":
            evidence = stay.keep_own(evidence)
        delay = len(evidence)
        nearest = self._nearest(evidence)
        best = nearest if nearest is not None and self._pool.knows(nearest) else None
        if best is not None and best.expert is expert and alarm.by == "loss":
            stay.relearn(evidence)
            return [ShiftDismissed(expert.number, delay, shift.statistic, shift.threshold)]
        partly = best is None and nearest is not None and nearest.unexplained <= PARTLY
        if partly and was_cut and nearest is not None and nearest.expert is expert and alarm.by == "loss":
            # It is at a loss in its own world, for it has just lost a part of itself: what is normal is learned anew.
            expert.watch.reset()
            stay.relearn(evidence)
            return [ShiftDismissed(expert.number, delay, shift.statistic, shift.threshold)]
        if partly and nearest is not None and nearest.expert is expert and stay.is_nobody():
            # Nobody to keep: the world that this expert was made for was one on the way to another.
            expert.watch.reset()
            stay.relearn(evidence)
            stay.transit.moves_on()
            return [DriftFollowed(expert.number, 0.0, nearest.unexplained)]
        events: list[Event] = [
            ShiftDetected(expert.number, delay, shift.statistic, shift.threshold, alarm.by),
            RolledBack(expert.number, delay),
        ]
        if best is not None and best.expert is not expert and stay.transit.follows and stay.is_nobody():
            events += stay.dissolve(expert, best.expert)
        else:
            events += stay.end()
        forced = best is None and self._pool.is_full(evidence[-1])
        if forced:
            best = nearest
        if best is not None:
            chosen = best.expert
            events.append(ExpertChosen(chosen.number, best.unexplained, forced and not self._pool.upbringing.is_alone))
            if chosen is expert:
                # The one that there is goes on, in a new world; or another world that it serves as well as its own.
                chosen.watch.reset()
        else:
            chosen = self._pool.spawn(evidence)
            events += [self._spawned(chosen, expert, evidence[-1]), *chosen.joined()]
        stay.begin(chosen, in_transit=partly and best is None)
        stay.relearn(evidence)
        return events

    def _look_back(self) -> list[Event]:
        """No alarm for a while: is the expert still who it was?"""
        stay, expert, anchor = self._stay, self._stay.active, self._stay.anchor
        assert anchor is not None
        recent = stay.recent
        expert.sync()
        if not anchor.is_down or anchor.kept[0].contract != recent[-1].contract:
            stay.hold_on()
            return []
        change = anchor.compare(expert, recent, stay.level, self._pool.room(recent))
        if change is None:
            return []
        if anchor.is_quiet(change):
            stay.transit.stands_still()
        keeps, nearest = anchor.keeps(change), None
        if not keeps or anchor.suspects(change):
            stay.settle()
            nearest = self._nearest(recent, besides=expert)
        best = nearest if nearest is not None and self._pool.knows(nearest) else None
        if keeps and not anchor.sees(change) and (best is None or not self._pool.is_at_home(best)):
            # If it followed a drift and has arrived: is somebody at home here already?
            return self._make_room() if stay.transit.comes_to_rest() else []
        fact = (DriftFollowed if stay.transit.goes_on else DriftDetected)(expert.number, change.lost, change.gained)
        goes_on = stay.transit.goes_on
        stay.transit.moves_on()
        if keeps and (best is None or not self._pool.is_at_home(best)):
            # What it knew it still knows: it serves both worlds.
            events: list[Event] = [fact, *([] if goes_on else stay.widen())]
            anchor.widen(expert, recent, stay.level, change)
            return events
        if best is None and (stay.is_covered(itself=True) or self._pool.is_full(recent[-1])):
            # There is nobody to keep, or nowhere to keep it: it goes on as it has become.
            events = [fact, *expert.consolidate(recent)]
            expert.reguard()
            anchor.drop(expert, recent, stay.level)
            return events
        events = [fact]
        # Who it has become goes on, as a new expert or as one that knows this world; who it was is put back and kept,
        # if it ever was somebody.
        chosen = best.expert if best is not None else self._pool.succeed(expert)
        if best is not None and stay.is_covered(itself=False):
            events += stay.dissolve(expert, chosen)
        else:
            anchor.restore(expert)
            expert.normal = anchor.normal(expert)
            expert.watch.rearm()
            events += stay.keep(expert, anchor.times)
        if best is None:
            events.append(self._spawned(chosen, expert, recent[-1]))
        else:
            events.append(ExpertChosen(chosen.number, best.unexplained))
        stay.begin(chosen, same_world=True, in_transit=best is None, after=expert if best is None else None)
        anchor.drop(chosen, recent, stay.level)
        return events

    def _make_room(self) -> list[Event]:
        """The active expert has followed a drift to a world; where that is another's own, that one goes on."""
        stay, expert, recent = self._stay, self._stay.active, self._stay.recent
        stay.settle()
        best = self._nearest(recent, besides=expert)
        # Whom it succeeded may serve this world as well, and has another to keep, which it would unlearn here.
        if best is None or best.expert.number == stay.transit.succeeded or not self._pool.is_at_home(best):
            return []
        if not stay.is_covered(itself=False):
            return []
        events = stay.dissolve(expert, best.expert)
        events.append(ExpertChosen(best.expert.number, best.unexplained))
        stay.begin(best.expert, same_world=True)
        assert stay.anchor is not None
        stay.anchor.drop(best.expert, recent, stay.level)
        return events

    def _arrive(self, batch: Batch) -> Sequence[Event]:
        """Who learns this batch, now that something visible changed: first batch, contract, label or boundary."""
        active = self._stay.expert
        told = None if batch.task is None else self._experts_of.get(batch.task)
        events: list[Event] = []
        if active is None:
            self.suits(batch)
        else:
            self._stay.settle()
            events += [ShiftSeen(active.number), *self._stay.end(closed=self._border.ended)]
        nearest = self._nearest([batch]) if batch.task is None else None
        best = nearest if nearest is not None and self._pool.knows(nearest) else None
        if told is not None:
            chosen = self._pool.expert(told)
            events.append(ExpertChosen(told, 0.0))
        elif best is not None:
            chosen = best.expert
            events.append(ExpertChosen(chosen.number, best.unexplained))
        elif self._pool.is_full(batch):
            chosen = self._pool.experts[0] if nearest is None else nearest.expert
            unexplained = 1.0 if nearest is None else nearest.unexplained
            events.append(ExpertChosen(chosen.number, unexplained, full=not self._pool.upbringing.is_alone))
        else:
            chosen = self._pool.spawn([batch])
            events += [self._spawned(chosen, active, batch), *chosen.joined()]
        if batch.task is not None:
            self._experts_of[batch.task] = chosen.number
        if chosen is active or not chosen.serves(batch.contract, batch.task):
            # What was normal in the worlds before says nothing of this one.
            chosen.watch.reset()
        self._stay.begin(chosen)
        return events

    def _nearest(self, evidence: Sequence[Batch], besides: Expert | None = None) -> Verdict | None:
        """Who explains this evidence best, however badly; of many experts, among those whose inputs look like it."""
        asked = [e for e in self._dispatcher.shortlist(evidence, self._pool.experts) if e is not besides]
        return next(iter(self._pool.judge(evidence, asked)), None)

    def _spawned(self, chosen: Expert, parent: Expert | None, batch: Batch) -> ExpertSpawned:
        chosen.foundation.assembly.grow(batch.contract, chosen.lane, batch.task)
        self._pool.check_budget()
        parameters = sum(p.numel() for p in chosen.foundation.assembly.lane_parameters(chosen.lane))
        return ExpertSpawned(chosen.number, parameters, None if parent is None else parent.number)

    def predict(self, query: Query) -> Prediction:
        told = None if query.task is None else self._experts_of.get(query.task)
        if told is not None and self._pool.expert(told).serves(query.contract, query.task):
            candidates = [self._pool.expert(told)]
        else:
            candidates = [e for e in self._pool.experts if e.serves(query.contract, query.task)]
            candidates.sort(key=lambda e: -e.seated)
        live = self._stay.portrait() if candidates and candidates[0] is self._stay.expert else None
        prediction = self._dispatcher.answer(query, candidates, self._pool.untrained, live)
        if self._stay.expert is not None:
            self._pool.tidy(self._stay.expert)
        return prediction

    @property
    def threshold(self) -> float | None:
        """What a detector's statistic must exceed to be taken for a shift."""
        return self._pool.threshold

    @property
    def awaits_ends(self) -> bool:
        """Whether a task that ends unnoticed goes unprotected: by methods of retention, or in a single network."""
        return await_ends(self._pool.upbringing.retention) or self._pool.upbringing.is_guarded_alone

    @property
    def is_particular(self) -> bool:
        return are_particular(self._pool.upbringing.retention)

    def suits(self, first: Batch, prospect: Prospect | None = None) -> None:
        up = self._pool.upbringing
        check(up.retention, "shown" if shows_ends(first) else "found", first, prospect, up.is_alone)

    def held(self) -> Sequence[Event]:
        return self._pool.held()

    def size(self) -> Size:
        return self._pool.size().keeping(*self._stay.stored())

    def state_dict(self) -> dict[str, Any]:
        return {
            "pool": self._pool.state_dict(),
            "stay": self._stay.state_dict(),
            "experts_of": dict(self._experts_of),
            "border": self._border.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pool.load_state_dict(state["pool"])
        self._stay.load_state_dict(state["stay"])
        self._experts_of = dict(state["experts_of"])
        self._border.load_state_dict(state["border"])
