"""Where a stream shows the ends of tasks, methods act on them before the task is judged, the last one too."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from retention_rigs import equal
from toys import toy_stream

from lifelong.evaluation.schedule import Schedule
from lifelong.events import Consolidated, Event, ShiftSeen, Update
from lifelong.experience import Batch, Query
from lifelong.learner import Learner
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.retention.ewc import Ewc
from lifelong.retention.packnet import PackNet
from lifelong.retention.zscl import Zscl
from lifelong_agents.flagship import flagship
from lifelong_agents.gpm import gpm
from lifelong_agents.retain import Retain

SMALL, FAST = Mlp((16,)), Optimizer(lr=1e-2)
STEPS = 12
MAKERS = {
    "retain": lambda: Retain((Zscl(every=1),), SMALL, FAST, memory=40),
    "flagship": lambda: flagship(SMALL, FAST, share="never", retention=(Zscl(every=1),), memory=40),
    "gpm": lambda: gpm(Mlp((16,), bias=False), FAST, retention=(Zscl(every=1),), memory=40),
}


def served(order: str = "A B A", boundaries: str = "shown", ends: bool = True) -> list[Batch]:
    stream = toy_stream(order, steps=STEPS, boundaries=boundaries)
    return [batch if ends else replace(batch, ends=False) for batch, _ in stream.experiences()]


def taught(learner: Learner, batches: Sequence[Batch]) -> list[tuple[int, Event]]:
    """What happened besides updates, with the number of batches learned."""
    happened = [(step, item) for step, batch in enumerate(batches, 1) for item in learner.learn(batch)]
    return [(step, item) for step, item in happened if not isinstance(item, Update)]


def steps_of(kind: type[Event], events: Sequence[tuple[int, Event]]) -> list[int]:
    return [step for step, event in events if isinstance(event, kind)]


def answers(learner: Learner, batch: Batch) -> torch.Tensor:
    return learner.predict(Query(batch.inputs, batch.contract)).outputs


def test_packnet_is_judged_as_the_network_that_it_goes_on_as() -> None:
    stream = toy_stream("A B", steps=STEPS, labels="judging", boundaries="shown")
    matrix = run(stream, Retain((PackNet(prune=0.95),), SMALL, FAST), evaluation=Schedule(within=0)).matrix
    # What is kept of the first task does not move any more: not by pruning either.
    assert matrix.scores[1][0] == matrix.scores[2][0]


@pytest.mark.parametrize("name", ["retain", "gpm"])
def test_the_mean_of_weights_is_judged_with_the_task_that_it_ends(name: str) -> None:
    told, waiting = MAKERS[name](), MAKERS[name]()
    taught(told, served("A B"))
    # It is taken from the second task on, whose end is the only one that the other is not shown.
    *earlier, last = served("A B")
    taught(waiting, [*earlier, replace(last, ends=False)])
    assert not torch.equal(answers(told, last), answers(waiting, last))


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_task_is_consolidated_once_and_seen_to_end_by_the_next(name: str) -> None:
    events = taught(MAKERS[name](), served())
    assert steps_of(Consolidated, events) == [STEPS, 2 * STEPS, 3 * STEPS]
    assert steps_of(ShiftSeen, events) == [STEPS + 1, 2 * STEPS + 1]


@pytest.mark.parametrize("name", list(MAKERS))
def test_where_only_beginnings_are_shown_they_are_waited_for(name: str) -> None:
    events = taught(MAKERS[name](), served(ends=False))
    assert steps_of(ShiftSeen, events) == [STEPS + 1, 2 * STEPS + 1]
    assert set(steps_of(Consolidated, events)) == {STEPS + 1, 2 * STEPS + 1}


def test_the_next_task_begins_the_same_whether_its_end_or_its_beginning_was_shown() -> None:
    one, other = (Retain((Ewc(), Zscl(every=1)), SMALL, FAST, memory=40) for _ in range(2))
    for batch in served():
        now, later = one.learn(batch)[0], other.learn(replace(batch, ends=False))[0]
        assert isinstance(now, Update)
        assert isinstance(later, Update)
        assert torch.equal(now.loss, later.loss)


def test_the_latest_samples_stay_until_the_next_task_begins() -> None:
    learner, batches = Retain((Ewc(),), SMALL, FAST, memory=40), served("A B")
    for batch in batches[:STEPS]:
        learner.learn(batch)
    assert learner.size().stored_samples == 48
    learner.learn(batches[STEPS])
    assert learner.size().stored_samples == 16


def test_a_task_that_was_said_to_end_has_ended_though_no_beginning_is_said() -> None:
    batches = [replace(batch, boundary=at == 0) for at, batch in enumerate(served("A B"))]
    events = taught(Retain((Ewc(),), SMALL, FAST), batches)
    assert (steps_of(ShiftSeen, events), steps_of(Consolidated, events)) == ([STEPS + 1], [STEPS, 2 * STEPS])


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("cut", [STEPS, STEPS + 3])
def test_who_goes_on_after_an_end_does_so_exactly(name: str, cut: int) -> None:
    batches, one, other = served(), MAKERS[name](), MAKERS[name]()
    taught(one, batches[:cut])
    kept = io.BytesIO()
    torch.save(one.state_dict(), kept)
    kept.seek(0)
    other.load_state_dict(torch.load(kept, weights_only=False))
    assert one.size() == other.size()
    assert repr(taught(one, batches[cut:])) == repr(taught(other, batches[cut:]))
    assert torch.equal(answers(one, batches[0]), answers(other, batches[0]))
    assert one.size() == other.size()
    if name == "retain":
        assert equal(one.state_dict()["inner"]["expert"], other.state_dict()["inner"]["expert"])


@pytest.mark.parametrize("name", list(MAKERS))
def test_nothing_ends_where_it_is_hidden(name: str) -> None:
    batches = served(boundaries="hidden")
    assert not any(batch.boundary or batch.ends for batch in batches)
    assert steps_of(Consolidated, taught(MAKERS[name](), batches[:STEPS])) == []
