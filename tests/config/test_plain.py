"""Values: what an annotation lets through, what it is called, how it is written."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from pydantic import BaseModel, Field

from lifelong.config.plain import Unfit, Unwritable, check, json_schema, spell, write


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    size: int = 3


@dataclass
class Point:
    x: int = 0


@pytest.mark.parametrize(
    ("annotation", "given", "value"),
    [
        (int, 3, 3), (int, 1e3, 1000), (float, 2, 2.0), (float, "1e-3", 1e-3), (bool, "yes", True),
        (tuple[int, ...], [1, 2], (1, 2)), (tuple[int, str], [1, "a"], (1, "a")), (list[float], [1], [1.0]),
        (int | None, None, None), (bool | int, True, True), (int | str, "3", "3"), (Literal[1, "a"], 1, 1),
        (Path, "a/b", Path("a/b")), (Colour, "red", Colour.RED), (dict[str, int], {"a": 1}, {"a": 1}),
        (Annotated[int, Field(ge=0)], 3, 3), (Sequence[int], [1], [1]), (Model, {"size": 2}, Model(size=2)),
        (Point | Model, {"x": 2}, Point(2)), (torch.device | str, "cpu", "cpu"), (Any, [1, None], [1, None]),
    ],
)  # fmt: skip
def test_good_values_pass_and_are_written_so_that_they_pass_again(
    annotation: Any, given: object, value: object
) -> None:
    found = check(annotation, given)
    assert found == value
    assert type(found) is type(value)
    assert check(annotation, write(annotation, found)) == value


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (int, True), (float, False), (int | None, True), (tuple[int, ...], [1, True]), (list[float], [True]),
        (dict[str, int], {"a": True}), (Annotated[int, Field(ge=0)], True), (int, 1.5), (str, 3), (str, True),
        (Literal["a", "b"], "c"), (torch.Tensor, [1]), (Annotated[int, Field(ge=0)], -1), (Point | Model, 3),
    ],
)  # fmt: skip
def test_bad_values_are_refused_and_true_is_never_a_number(annotation: Any, given: object) -> None:
    with pytest.raises(Unfit):
        check(annotation, given)


def test_a_bound_is_told_in_the_words_of_the_bound() -> None:
    with pytest.raises(Unfit, match=r"a whole number \(Input should be greater than or equal to 0\)"):
        check(Annotated[int, Field(ge=0)], -1)


def test_the_place_inside_a_value_is_told() -> None:
    with pytest.raises(Unfit) as caught:
        check(dict[str, list[int]], {"a": [1], "b": [1, "x"]})
    assert (caught.value.at, caught.value.given) == (("b", 1), "x")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (tuple[int, ...] | None, "a list of whole numbers or null"), (float | None, "a number or null"),
        (tuple[int, str], "a list of 2 (a whole number, text)"), (Literal["a"], "a"), (Path, "a Path"),
        (Literal["a", "b"], "one of a, b"), (dict[str, bool], "a mapping from text to true or false"),
        (Mapping[str, int], "a mapping from text to a whole number"), (Annotated[str, "x"], "text"),
    ],
)  # fmt: skip
def test_annotations_are_spelled_out(annotation: Any, words: str) -> None:
    assert spell(annotation) == words


def test_what_yaml_has_no_words_for_is_not_written() -> None:
    with pytest.raises(Unwritable):
        write(Callable[[float], float], abs)
    with pytest.raises(Unwritable):
        write(torch.Tensor, torch.zeros(2))


def test_schemas_of_values_are_those_of_their_types() -> None:
    assert json_schema(tuple[int, ...], "#/{model}") == {"type": "array", "items": {"type": "integer"}}
    assert json_schema(torch.device | str, "#/{model}") == {"type": "string"}
    assert json_schema(torch.Tensor, "#/{model}") == {}


def test_unions_are_told_apart_by_their_order_and_values_are_checked_each_time() -> None:
    assert (check(int | str, "3"), check(str | int, "3")) == ("3", "3")
    assert [type(check(one, True)) for one in (bool | int, int | bool, float | bool)] == [bool, bool, bool]
    for _ in range(2):
        assert check(list[int], [1]) == [1]
        with pytest.raises(Unfit):
            check(list[int], ["x"])


@pytest.mark.parametrize(
    ("annotation", "given", "expected"),
    [
        (float, float("nan"), "a number (which .nan is not)"),
        (int, 2**63, "a whole number (of at most 63 bits)"),
        (int, -(2**64), "a whole number (of at most 63 bits)"),
        (int, 1e300, "a whole number (of at most 63 bits)"),
        (tuple[int, ...], [1, 10**400], "a list of whole numbers throughout (of at most 63 bits)"),
    ],
)
def test_numbers_that_cannot_be_counted_with_are_refused(annotation: Any, given: Any, expected: str) -> None:
    with pytest.raises(Unfit) as caught:
        check(annotation, given)
    assert caught.value.expected == expected
