"""Every law of streams of worlds lets a good one pass and catches the one that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lifelong.check import LawBroken, check_acting_stream
from lifelong.experience import Truth
from lifelong.interaction import Interaction
from lifelong.stream import EnvTask, Segment
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import Timetable

TABLE = Timetable("A B A", [64, 128, 64], lanes=2, experience=32, change="now")
Item = tuple[Interaction, Truth]


def good(scenario: Scenario = HIDDEN) -> ActingStream:
    return cartpole_flip(TABLE, scenario)


@pytest.mark.parametrize("scenario", [Scenario(), Scenario("training", "shown"), Scenario("judging")])
def test_a_good_stream_passes(scenario: Scenario) -> None:
    check_acting_stream(good(scenario))


class Planted:
    """A good stream of which a test replaces one part by a bad one."""

    def __init__(self, bend: Callable[[int, Item], Item] = lambda step, item: item, **parts: Any) -> None:
        self._good, self._bend, self._parts = good(), bend, parts
        self.name = "planted"
        self.tasks: Any = parts.get("tasks", self._good.tasks)
        self.segments: Any = parts.get("segments", self._good.segments)

    def experiences(self, start: int = 0) -> Iterator[Item]:
        for step, item in enumerate(self._good.experiences(start), start):
            yield self._bend(step, item)

    def state_dict(self) -> dict[str, Any]:
        return self._parts.get("state", self._good.state_dict)()  # type: ignore[no-any-return]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._good.load_state_dict(self._parts.get("load", lambda found: found)(state))


def refused(stream: Any, law: str) -> None:
    with pytest.raises(LawBroken, match=law):
        check_acting_stream(stream)


def test_truths_are_the_segments() -> None:
    refused(
        Planted(lambda step, item: (item[0], Truth("A", 0))), "step 2: the truth beside an experience is its segment"
    )


def test_an_experience_too_few_is_noticed() -> None:
    short = (*good().segments[:2], Segment("A", 1))
    refused(Planted(segments=short), "as many experiences as segments have steps: expected 7, saw 8")


def test_a_wrong_label_and_a_wrong_boundary_are_noticed() -> None:
    refused(Planted(lambda step, item: (replace(item[0], task="B"), item[1])), "label is the true task's name")
    refused(Planted(lambda step, item: (replace(item[0], boundary=step == 1), item[1])), "boundary begins a segment")


def test_labels_that_are_shown_now_and_then_are_noticed() -> None:
    named = Planted(lambda step, item: (replace(item[0], task="A" if step == 0 else None), item[1]))
    refused(named, "labels in training are shown always or never")


def test_judging_by_other_episodes_each_time_is_noticed() -> None:
    draw = np.random.default_rng(0)

    class Fickle:
        def __init__(self, lane: Any) -> None:
            self._lane, self.action_space = lane, lane.action_space

        def reset(self, seed: int | None = None) -> Any:
            return self._lane.reset(seed=int(draw.integers(10_000)))

        def step(self, action: Any) -> Any:
            return self._lane.step(action)

    first, second = good().tasks
    fickle = replace(first, lanes=lambda count: [Fickle(lane) for lane in first.lanes(count)])  # type: ignore[arg-type]
    refused(Planted(tasks=(fickle, second)), "'A' is judged by the same episodes each time")


def test_judging_in_the_lanes_that_are_lived_in_is_noticed() -> None:
    stream = Planted()
    stream.tasks = tuple(EnvTask(task.name, lambda count: stream._good._lanes[:count]) for task in stream.tasks)
    refused(stream, "judged by the same episodes each time")


def test_a_state_that_does_not_go_on_is_noticed() -> None:
    def drop(state: dict[str, Any]) -> dict[str, Any]:
        for lane in state["lanes"]:
            if lane["begun"] is not None:
                lane["begun"]["draws"], lane["begun"]["generators"] = state["lanes"][0]["begun"]["draws"], {}
        return state

    with pytest.warns(UserWarning, match="does not do the same again"):
        refused(Planted(load=drop), "goes on as the life from which it was taken")


def test_a_state_with_more_than_plain_data_is_noticed() -> None:
    refused(Planted(state=lambda: {"lanes": object()}), "tensors and plain data only")
