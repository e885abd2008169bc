"""Timetables of worlds: lengths that go into each other, and what is said of those that do not."""

from __future__ import annotations

from typing import Any

import pytest

from lifelong_envs.rl.scenario import Scenario
from lifelong_envs.rl.timetable import Change, Timetable


def test_changes_are_in_the_steps_of_one_lane() -> None:
    table = Timetable("A B A", [160, 320, 160], lanes=4, experience=80, change="gradual", over=40, offset=20)
    assert table.visits(("A", "B")) == (("A", 160), ("B", 320), ("A", 160))
    assert table.changes(("A", "B")) == (
        Change(0, "A", "gradual", 0),
        Change(45, "B", "gradual", 10),
        Change(125, "A", "gradual", 10),
    )


def test_without_an_order_each_world_comes_once() -> None:
    assert Timetable(steps=256).visits(("x y", "z")) == (("x y", 256), ("z", 256))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lanes": 0}, "lanes must be at least 1, got 0"),
        ({"experience": 250}, r"experience must be a multiple of lanes \(8\), got 250: take 248 or 256"),
        ({"experience": 3}, r"experience must be a multiple of lanes \(8\), got 3: take 8\."),
        ({"steps": 1000}, r"steps must be a multiple of experience \(256\), got 1000: take 768 or 1024"),
        ({"steps": [256, 0]}, r"steps must be a multiple of experience \(256\), got 0: take 256"),
        ({"steps": []}, "steps lists no length"),
        ({"change": "soon"}, "change='soon', expected one of 'now', 'episode', 'reset', 'gradual'"),
        ({"change": "gradual"}, "needs the number of steps"),
        ({"over": 8}, "no other has one"),
        ({"change": "gradual", "over": 9}, r"over must be a multiple of lanes \(8\), got 9: take 8 or 16"),
        ({"change": "gradual", "over": 512, "steps": 256}, "over=512 does not fit into a visit of 256 steps"),
        (
            {"change": "gradual", "over": 200, "offset": 64, "steps": 256},
            "over=200 does not fit into a visit of 256 steps after an offset of 64",
        ),
        ({"offset": 256, "steps": 256}, "offset=256 does not fit into a visit of 256 steps"),
        ({"offset": -8}, "offset must be 0 or a multiple of lanes"),
        ({"order": " "}, "names no world"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Timetable(**wrong)


def test_an_order_names_worlds_and_a_list_of_steps_has_one_for_each_visit() -> None:
    with pytest.raises(ValueError, match="order names the world 'C', but this stream has 'A', 'B'"):
        Timetable("A C").visits(("A", "B"))
    with pytest.raises(ValueError, match=r"steps lists 2 lengths for 3 visits \(A B A\)"):
        Timetable("A B A", [256, 512]).visits(("A", "B"))


@pytest.mark.parametrize(
    ("what", "value", "known"),
    [("labels", "always", "'never', 'training', 'judging'"), ("boundaries", "yes", "'hidden', 'shown'")],
)
def test_a_scenario_lists_what_may_be_said(what: str, value: str, known: str) -> None:
    with pytest.raises(ValueError, match=f"{what}='{value}', expected one of {known}"):
        Scenario(**{what: value})  # type: ignore[arg-type]
