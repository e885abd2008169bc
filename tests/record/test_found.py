"""What judging told of who knows which world, by hand-made events."""

from __future__ import annotations

import pytest
from world_run import world_run

from lifelong.events import Event, ExpertFound, RunStarted, TaskScored
from lifelong.record.found import Findings

(_, STARTED), *_ = world_run()


def told(*events: Event) -> list[str | None]:
    findings = Findings()
    assert isinstance(STARTED, RunStarted)
    return [findings.told(event) for event in (STARTED, *events)][1:]


def judged(task: str, segment: int, at_end: bool, *routed: tuple[int, int]) -> TaskScored:
    return TaskScored(task, 1.0, 1.0, 10, segment, at_end, False, routed)


def test_where_nobody_knows_such_a_world_it_is_said_that_actions_are_drawn() -> None:
    said = "judged on plain: at random, since no expert has lived in a world with such spaces yet"
    assert told(judged("plain", 1, True, (-1, 90))) == [said]


@pytest.mark.parametrize(
    "event",
    [
        # Before anything is learned that goes without saying, and within a segment it would flood.
        judged("plain", 0, True, (-1, 90)),
        judged("plain", 1, False, (-1, 90)),
        judged("plain", 1, True, (0, 90)),
        judged("digits", 1, True, (-1, 90)),
    ],
)
def test_nothing_is_said_otherwise(event: TaskScored) -> None:
    assert told(event) == [None]


def test_who_took_over_is_said_of_the_judging_that_it_belongs_to() -> None:
    found = ExpertFound("plain", 1, 0, 3, 2.5)
    said = "judged on plain: expert 1 took over from 0 after 2.5 steps in 3 of 10 episodes"
    assert told(judged("plain", 1, True, (0, 9)), found, judged("plain", 1, False, (0, 9)), found) == [
        None,
        said,
        None,
        None,
    ]
