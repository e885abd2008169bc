"""Streams of worlds: budgets, what is told, and being taken up."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import pytest
from acting import live, rewards, telltale

from lifelong.experience import Truth
from lifelong.interaction import Interaction
from lifelong.stream import References
from lifelong_envs.rl.acting_stream import ActingStream
from lifelong_envs.rl.cartpole_flip import cartpole_flip
from lifelong_envs.rl.scenario import HIDDEN, Scenario
from lifelong_envs.rl.timetable import Timetable
from lifelong_envs.rl.worlds import worlds

A, B, C = (telltale(task, gain) for task, gain in (("A", 1.0), ("B", 2.0), ("C", 3.0)))


def small(change: Any = "now", scenario: Scenario = HIDDEN, **more: Any) -> ActingStream:
    """A visit of 24 steps to A, of 36 to B and of 24 to A again, in 3 lanes and experiences of 12 steps."""
    table = Timetable("A B A", [24, 36, 24], lanes=3, experience=12, change=change, **more)
    return worlds((A, B), table, scenario)


def lived(stream: ActingStream, start: int = 0, stop: int | None = None) -> list[list[list[float]]]:
    """The rewards of each lane, by experience."""
    found = []
    for step, (interaction, _) in enumerate(stream.experiences(start), start):
        found.append([rewards(live(lane, 4)) for lane in interaction.lanes])
        if step + 1 == stop:
            break
    return found


def test_how_long_an_episode_of_judging_may_be_is_a_setting_of_the_stream() -> None:
    assert [task.longest for stream in (worlds((A,), longest=7), worlds((A,))) for task in stream.tasks] == [7, 10_000]


def test_references_are_given_to_all_worlds_that_are_visited_or_to_none() -> None:
    scale = References(0.0, 9.0)
    both = replace(A, references=scale), replace(B, references=scale)
    assert [task.references for task in worlds(both).tasks] == [scale, scale]
    with pytest.raises(ValueError, match=r"^Worlds with references: 'A', 'B'; without: 'C'.*to all worlds.*or to none"):
        worlds((*both, C))
    assert [task.name for task in worlds((*both, C), Timetable("A B A")).tasks] == ["A", "B"]


def test_every_lane_changes_at_its_share_of_the_steps() -> None:
    stream = small()
    paid = lived(stream)
    assert paid == [[[1.0] * 4] * 3] * 2 + [[[2.0] * 4] * 3] * 3 + [[[1.0] * 4] * 3] * 2
    assert [(s.task, s.steps) for s in stream.segments] == [("A", 2), ("B", 3), ("A", 2)]
    assert [task.name for task in stream.tasks] == ["A", "B"]


def test_lanes_that_never_enter_a_world_are_told_at_the_end_of_its_visit() -> None:
    # Visits of 8, 12 and 8 steps in each lane, episodes of `length`.
    def told(length: int, change: Any = "episode", stop: int | None = None) -> list[str]:
        pair = [replace(world, make={**world.make, "length": length}) for world in (A, B)]
        table = Timetable("A B A", [24, 36, 24], lanes=3, experience=12, change=change)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            lived(worlds(tuple(pair), table), stop=stop)
        return [str(warning.message) for warning in said]

    (behind,) = told(1000)
    assert "visit 2, to 'B', is over and 3 of 3 lanes (0, 1, 2) never entered it" in behind
    assert "max_episode_steps" in behind
    # The first visit needs no change, and the second is not yet over.
    assert told(1000, stop=3) == []
    assert told(5) == told(10) == told(1000, "now") == told(1000, "reset") == []
    # Episodes of 19 steps let a lane into B with its visit's last step, and keep it there; those of 20 go past B.
    assert [said.partition(", is over")[0][-15:] for said in told(19) + told(20)] == [
        "visit 3, to 'A'", "visit 2, to 'B'",
    ]  # fmt: skip


def test_an_offset_lets_the_world_change_in_the_middle_of_an_experience() -> None:
    paid = lived(small(offset=6))
    assert paid[2] == [[1.0, 1.0, 2.0, 2.0]] * 3
    assert paid[5] == [[2.0, 2.0, 1.0, 1.0]] * 3


def test_the_truth_is_the_segment_and_the_lanes_are_the_same_all_along() -> None:
    seen = []
    for interaction, truth in small().experiences():
        seen.append((interaction.lanes, interaction.steps, truth))
        for lane in interaction.lanes:
            live(lane, 4)
    assert {steps for _, steps, _ in seen} == {12}
    assert len({tuple(map(id, lanes)) for lanes, _, _ in seen}) == 1
    order = [("A", 0)] * 2 + [("B", 1)] * 3 + [("A", 2)] * 2
    assert [truth for _, _, truth in seen] == [Truth(*pair) for pair in order]


def told(scenario: Scenario) -> list[tuple[str | None, bool]]:
    found = []
    for interaction, _ in small(scenario=scenario).experiences():
        found.append((interaction.task, interaction.boundary))
        for lane in interaction.lanes:
            live(lane, 4)
    return found


def test_nothing_is_told_unless_it_is_to_be_shown() -> None:
    names = ["A", "A", "B", "B", "B", "A", "A"]
    starts = [True, False, True, False, False, True, False]
    assert told(Scenario()) == [(None, False)] * 7
    assert told(Scenario(labels="training")) == [(name, False) for name in names]
    assert told(Scenario("judging", "shown")) == list(zip(names, starts, strict=True))
    assert {task.label for task in small(scenario=Scenario(labels="training")).tasks} == {None}
    assert [task.label for task in small(scenario=Scenario(labels="judging")).tasks] == ["A", "B"]


def test_a_world_shows_in_no_public_attribute_of_a_lane() -> None:
    stream = cartpole_flip(Timetable(steps=64, lanes=2, experience=32, change="now"))
    public = []
    for interaction, _ in stream.experiences():
        for lane in interaction.lanes:
            live(lane, 16)
        lane = interaction.lanes[0]
        hidden = {"observation", "steps", "np_random_seed"}
        public.append(
            {name: repr(value) for name, value in vars(lane).items() if name[0] != "_" and name not in hidden}
        )
    assert public[0] == public[1] == public[2] == public[3]


@pytest.mark.parametrize("change", ["now", "episode", "reset", "gradual"])
@pytest.mark.parametrize("stop", [0, 1, 2, 3, 6])
def test_a_stream_that_is_taken_up_goes_on_as_it_would_have(change: Any, stop: int) -> None:
    over = {"over": 9} if change == "gradual" else {}
    stream = small(change, **over)
    if stop:
        lived(stream, stop=stop)
    state = copy.deepcopy(stream.state_dict())
    rest = lived(stream, stop)
    again = small(change, **over)
    again.load_state_dict(state)
    assert lived(again, stop) == rest
    assert len(rest) == 7 - stop


def test_a_second_life_begins_anew() -> None:
    stream = cartpole_flip(Timetable(steps=64, lanes=2, experience=32))

    def life() -> list[Any]:
        return [[live(lane, 16) for lane in interaction.lanes] for interaction, _ in stream.experiences()]

    first = life()
    assert life() == first
    next(iter(stream.experiences()))
    assert life() == first


def test_lane_i_begins_with_seed_plus_i() -> None:
    import gymnasium

    stream = cartpole_flip(Timetable(steps=64, lanes=2, experience=32), seed=7)
    interaction, _ = next(iter(stream.experiences()))
    for i, lane in enumerate(interaction.lanes):
        assert lane.reset()[0].tolist() == gymnasium.make("CartPole-v1").reset(seed=7 + i)[0].tolist()


def test_steps_that_are_not_taken_are_noticed() -> None:
    walk = small().experiences()
    interaction, _ = next(walk)
    for lane in interaction.lanes[:2]:
        live(lane, 4)
    with pytest.raises(ValueError, match=r"lived 4 steps each before experience 1, but they have lived \[4, 4, 0\]"):
        next(walk)


def test_a_start_in_the_middle_needs_a_state() -> None:
    with pytest.raises(ValueError, match="needs load_state_dict first"):
        small().experiences(2)
    with pytest.raises(ValueError, match="has 7 steps, it cannot start at step 8"):
        small().experiences(8)


def test_judging_does_not_disturb_living() -> None:
    quiet, judged = small(), small()
    alone, beside = lived(quiet), []
    for interaction, _ in judged.experiences():
        for task in judged.tasks:
            for lane in task.lanes(2):
                lane.reset(seed=task.seed)
                lane.step(0)
        beside.append([rewards(live(lane, 4)) for lane in interaction.lanes])
    assert beside == alone


def test_judging_is_in_one_world_for_ever_and_its_lanes_are_kept() -> None:
    stream = small()
    one, other = stream.tasks
    assert rewards(live(other.lanes(1)[0], 30)) == [2.0] * 30
    assert rewards(live(one.lanes(3)[2], 30)) == [1.0] * 30
    assert one.lanes(2) == one.lanes(3)[:2]
    learned = next(iter(stream.experiences()))[0].lanes
    assert not {id(lane) for lane in learned} & {id(lane) for task in stream.tasks for lane in task.lanes(3)}


def test_episodes_and_references_reach_the_task() -> None:
    task = cartpole_flip(episodes=4).tasks[1]
    assert (task.name, task.episodes, task.measure) == ("B", 4, "return")
    assert task.references is not None
    assert task.references.expert == 500.0


def test_the_state_of_other_lanes_is_refused() -> None:
    state = small().state_dict()
    with pytest.raises(ValueError, match="3 lanes"):
        worlds((A, B), Timetable("A B A", [24, 36, 24], lanes=2, experience=12)).load_state_dict(state)


def test_worlds_that_are_not_visited_are_left_out() -> None:
    stream = worlds((A, B, C), Timetable("C A", 12, lanes=1, experience=12))
    assert [task.name for task in stream.tasks] == ["C", "A"]
    assert isinstance(next(iter(stream.experiences()))[0], Interaction)


def test_two_worlds_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="Several worlds would be called 'A'"):
        worlds((A, telltale("A", 2.0)))
