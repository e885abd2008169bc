"""Timetables and scenarios: what may be written, and what is said of what may not."""

from __future__ import annotations

import pytest

from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.letters import letter, lettered, place
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.scenario import Scenario
from lifelong_envs.supervised.timetable import Timetable


@pytest.mark.parametrize("order", ["A B C A D", ["A", "B", "C", "A", "D"]])
def test_an_order_is_a_text_or_a_list(order: str | list[str]) -> None:
    table = Timetable(order=order)
    assert table.visits(("A", "B", "C", "D", "E")) == ("A", "B", "C", "A", "D")
    assert table.visited(("A", "B", "C", "D", "E")) == ("A", "B", "C", "D")


def test_without_an_order_each_task_comes_once() -> None:
    assert Timetable().visits(("x", "y")) == ("x", "y")


@pytest.mark.parametrize("what", ["epochs", "batch_size", "samples"])
def test_numbers_below_one_are_refused(what: str) -> None:
    with pytest.raises(ValueError, match=f"{what} must be at least 1, got 0"):
        Timetable(**{what: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["  ", []])
def test_an_empty_order_is_refused(order: str | list[str]) -> None:
    with pytest.raises(ValueError, match="names no task"):
        Timetable(order=order)


def test_an_unknown_task_in_the_order_is_named_beside_the_known_ones(images: Arrays) -> None:
    with pytest.raises(ValueError, match="order names the task 'C', but this stream has 'A', 'B'"):
        permuted(images, Timetable(order="A C"), tasks=2)


@pytest.mark.parametrize("name", ["a", "T5", "T26", "AA", "T027", ""])
def test_a_name_that_is_no_letter_is_refused(name: str, images: Arrays) -> None:
    with pytest.raises(ValueError, match=f"order names the task {name!r}, but tasks are named A, B"):
        permuted(images, Timetable(order=["A", name]))


def test_letters_and_places_are_each_others_inverse() -> None:
    assert [letter(n) for n in (0, 25, 26, 99)] == ["A", "Z", "T27", "T100"]
    assert [place(letter(n)) for n in range(200)] == list(range(200))


def test_the_number_of_tasks_follows_the_order_where_it_is_not_given() -> None:
    assert lettered(None, Timetable(order="B D")) == ("A", "B", "C", "D")
    assert lettered(2, Timetable(order="B")) == ("A", "B")
    assert lettered(None, Timetable()) == ("A", "B", "C", "D", "E")
    with pytest.raises(ValueError, match="at least one task and at most 10,000, got tasks=0"):
        lettered(0, Timetable())


@pytest.mark.parametrize(
    ("what", "value", "known"),
    [
        ("labels", "always", "'never', 'training', 'judging'"),
        ("boundaries", "yes", "'hidden', 'shown'"),
        ("head", "multi", "'shared', 'per_task'"),
    ],
)
def test_a_scenario_lists_what_may_be_said(what: str, value: str, known: str) -> None:
    with pytest.raises(ValueError, match=f"{what}='{value}', expected one of {known}"):
        Scenario(**{what: value})  # type: ignore[arg-type]
