"""The heart: surprised? has the world shifted? if so keep what was known, find who knows the new one, or spawn.

Follow one batch through `learn`: it is learned, its loss is shown to the active expert's detector, and that is all
unless the detector fires. Then `_turn` undoes what was learned since the onset, lets every expert explain the evidence,
and gives it to the one that does, or to a new one. The cost of a step does not depend on how many experts there are.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lifelong.dispatch import Dispatcher, Portrait
from lifelong.events import (
    Event,
    ExpertChosen,
    ExpertSpawned,
    RolledBack,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    Update,
)
from lifelong.experience import Batch, Prediction, Query
from lifelong.expert import Expert, Normal
from lifelong.learner import Size
from lifelong.objective import Contract
from lifelong.pool import Pool
from lifelong.shift.detector import Shift
from lifelong.trail import Trail

NORMAL_WINDOW = 30
"""Latest batches whose losses tell what is normal for an expert; few, so that no learning curve is in them."""


class LifelongLearner:
    """Learns a stream whose tasks change without notice, with a pool of experts.

    read_every: batches between two looks at the losses. 1 on the CPU; more on a GPU, where reading a value makes the
    host wait, and where the trail undoes what happened between onset and look. Needs experts with detectors.
    """

    def __init__(self, pool: Pool, dispatcher: Dispatcher, trail: Trail, read_every: int = 1) -> None:
        if read_every < 1:
            raise ValueError(f"read_every must be at least 1 batch, got {read_every}.")
        if pool.threshold is None:
            raise ValueError("A LifelongLearner needs a pool whose upbringing names a detector, got one without.")
        self._pool, self._dispatcher, self._trail, self._read_every = pool, dispatcher, trail, read_every
        self._active: Expert | None = None
        self._unread: list[Tensor] = []
        # As many as can be taken back, and beyond those what is normal.
        self._losses: deque[float] = deque(maxlen=NORMAL_WINDOW + trail.reach)
        self._experts_of: dict[str, int] = {}
        self._live: tuple[int, int, Portrait] | None = None
        self._contract: Contract | None = None
        self._task: str | None = None

    def learn(self, batch: Batch) -> Sequence[Update | Event]:
        expert = self._active
        before: Sequence[Event] = ()
        # Told or seen from outside: looked at only when something differs from the last batch.
        if expert is None or batch.boundary or batch.contract is not self._contract or batch.task != self._task:
            expert, before = self._arrive(batch)
        self._trail.note(expert, batch)
        update = expert.update(batch)
        self._unread.append(update.loss)
        if len(self._unread) < self._read_every:
            return (update, *before)
        shift = self._read(expert)
        if shift is None:
            return (update, *before)
        if batch.task is not None:
            # Whoever is told the task does not guess.
            expert.watch.rearm()
            return (update, *before)
        return (update, *before, *self._turn(expert, shift))

    def _read(self, expert: Expert) -> Shift | None:
        """Show the detector the losses since the last look; a shift's onset is counted back from the newest batch."""
        losses = torch.stack(self._unread).tolist() if len(self._unread) > 1 else [self._unread[0].item()]
        self._unread.clear()
        shift = None
        for loss in losses:
            self._losses.append(loss)
            if shift is not None:
                shift = Shift(shift.onset + 1, shift.statistic, shift.threshold)
            else:
                shift = expert.watch.update(loss)
        return shift

    def _turn(self, expert: Expert, shift: Shift) -> list[Event]:
        """The detector fired: undo, judge, and hand the evidence to whoever shall learn it."""
        evidence = self._trail.rewind(expert, shift.onset)
        delay = len(evidence)
        for _ in evidence:
            self._losses.pop()
        self._settle(expert)
        verdicts = self._pool.judge(evidence)
        best = verdicts[0] if verdicts and self._pool.knows(verdicts[0]) else None
        if best is not None and best.expert is expert:
            self._relearn(expert, evidence)
            return [ShiftDismissed(expert.number, delay, shift.statistic, shift.threshold)]
        events: list[Event] = [
            ShiftDetected(expert.number, delay, shift.statistic, shift.threshold),
            RolledBack(expert.number, delay),
        ]
        events += self._retire(expert)
        if best is None and self._pool.is_full:
            best = verdicts[0] if verdicts else None
        if best is not None:
            chosen = best.expert
            events.append(ExpertChosen(chosen.number, best.unexplained))
            if chosen is expert:
                # The one network that there is goes on, in a new world.
                chosen.watch.reset()
        else:
            chosen = self._pool.spawn(evidence)
            events += [self._spawned(chosen, expert, evidence[-1]), *chosen.joined()]
        self._seat_expert(chosen)
        self._relearn(chosen, evidence)
        return events

    def _arrive(self, batch: Batch) -> tuple[Expert, Sequence[Event]]:
        """Who learns this batch, now that something visible changed: first batch, contract, label or boundary."""
        active, same_task = self._active, batch.task == self._task
        self._contract, self._task = batch.contract, batch.task
        told = None if batch.task is None else self._experts_of.get(batch.task)
        if active is not None and same_task and not batch.boundary and active.serves(batch.contract, batch.task):
            return active, ()
        self._unread.clear()
        events: list[Event] = []
        if active is not None:
            self._settle(active)
            events += [ShiftSeen(active.number), *self._retire(active)]
        if told is not None:
            chosen = self._pool.experts[told]
            events.append(ExpertChosen(told, 0.0))
        else:
            verdicts = [] if batch.task is not None else self._pool.judge([batch])
            if verdicts and (self._pool.knows(verdicts[0]) or self._pool.is_full):
                chosen = verdicts[0].expert
                events.append(ExpertChosen(chosen.number, verdicts[0].unexplained))
            elif self._pool.is_full:
                chosen = self._pool.experts[0]
                events.append(ExpertChosen(chosen.number, 1.0))
            else:
                chosen = self._pool.spawn([batch])
                events += [self._spawned(chosen, active, batch), *chosen.joined()]
        if batch.task is not None:
            self._experts_of[batch.task] = chosen.number
        self._seat_expert(chosen)
        return chosen, events

    def _spawned(self, chosen: Expert, parent: Expert | None, batch: Batch) -> ExpertSpawned:
        chosen.foundation.assembly.grow(batch.contract, chosen.lane, batch.task)
        parameters = sum(p.numel() for p in chosen.foundation.assembly.lane_parameters(chosen.lane))
        return ExpertSpawned(chosen.number, parameters, None if parent is None else parent.number)

    def _seat_expert(self, chosen: Expert) -> None:
        self._active = chosen
        chosen.seated = 1 + max(expert.seated for expert in self._pool.experts)
        self._trail.clear()
        self._losses.clear()

    def _settle(self, expert: Expert) -> None:
        """Remember what this expert's loss is like in its own world; too short a stay tells nothing new."""
        losses = list(self._losses)[-NORMAL_WINDOW:]
        if len(losses) >= 3 or (losses and expert.normal is None):
            spread = statistics.stdev(losses) if len(losses) > 1 else abs(losses[0])
            expert.normal = Normal(statistics.fmean(losses), spread)

    def _retire(self, expert: Expert) -> list[Event]:
        """Keep what the expert knows: what its inputs look like, and the directions that its foundation must spare."""
        recent = self._trail.recent()
        if recent:
            portrait = self._dispatcher.portray(expert, recent, self._pool.experts)
            expert.stretches = portrait.hang(expert.stretches)
            expert.rivals |= portrait.rivals
            for number in portrait.rivals:
                self._pool.experts[number].rivals.add(expert.number)
        grown: list[Event] = list(expert.consolidate(recent))
        expert.rest()
        return grown

    def _relearn(self, expert: Expert, evidence: Sequence[Batch]) -> None:
        """Learn batches that were taken back. Their losses teach the detector what is normal, and raise no alarm."""
        expert.watch.rearm()
        for batch in evidence:
            self._trail.note(expert, batch)
            loss = expert.update(batch).loss.item()
            self._losses.append(loss)
            expert.watch.update(loss)
        expert.watch.rearm()

    def predict(self, query: Query) -> Prediction:
        told = None if query.task is None else self._experts_of.get(query.task)
        if told is not None and self._pool.experts[told].serves(query.contract, query.task):
            candidates = [self._pool.experts[told]]
        else:
            candidates = [e for e in self._pool.experts if e.serves(query.contract, query.task)]
            candidates.sort(key=lambda e: -e.seated)
        active = self._active
        live = self._live_portrait(active) if active is not None and candidates[:1] == [active] else None
        return self._dispatcher.answer(query, candidates, self._pool.untrained, live)

    def _live_portrait(self, active: Expert) -> Portrait:
        """How the active expert's inputs look now; kept until it learns again, and no part of the state."""
        key = (active.number, self._trail.position)
        if self._live is None or self._live[:2] != key:
            self._live = (*key, self._dispatcher.portray(active, self._trail.recent(), self._pool.experts))
        return self._live[2]

    @property
    def threshold(self) -> float | None:
        """What a detector's statistic must exceed to be taken for a shift."""
        return self._pool.threshold

    def held(self) -> Sequence[Event]:
        return self._pool.held()

    def size(self) -> Size:
        return self._pool.size()

    def state_dict(self) -> dict[str, Any]:
        return {
            "pool": self._pool.state_dict(),
            "trail": self._trail.state_dict(),
            "active": None if self._active is None else self._active.number,
            "unread": list(self._unread),
            "losses": list(self._losses),
            "experts_of": dict(self._experts_of),
            "task": self._task,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pool.load_state_dict(state["pool"])
        self._trail.load_state_dict(state["trail"])
        self._active = None if state["active"] is None else self._pool.experts[state["active"]]
        self._unread = list(state["unread"])
        self._losses = deque(state["losses"], maxlen=self._losses.maxlen)
        self._experts_of, self._task = dict(state["experts_of"]), state["task"]
        # The next batch's contract is another object, if an equal one: it will be looked at anew.
        self._contract, self._live = None, None
