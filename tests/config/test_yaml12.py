"""Scalars as people mean them, and text that reads back as what was written."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lifelong.config.errors import Report
from lifelong.config.source import read_text
from lifelong.config.yaml12 import dump


def read(text: str) -> Any:
    report = Report("text")
    data = read_text(text, report, lines={})
    report.stop_if_any()
    return data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1E5", 1e5), ("-.5", -0.5), ("2.", 2.0), (".inf", math.inf), ("-.inf", -math.inf),
        ("7", 7), ("-7", -7), ("010", 10), ("1_000", 1000), ("12:30", "12:30"), ("2024-01-31", "2024-01-31"),
        ("true", True), ("False", False), ("no", "no"), ("on", "on"), ("Yes", "Yes"),
        ("~", None), ("null", None), ("", None), ("nullify", "nullify"), ("'1e-3'", "1e-3"), ("1.2.3", "1.2.3"),
        ("[1, [a, 2.5], {b: null}]", [1, ["a", 2.5], {"b": None}]), ("!!str 12", "12"), ("!!float 3", 3.0),
        ("-", [None]), ("1e", "1e"), ("0x1F", "0x1F"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_2_means_them(text: str, value: object) -> None:
    found = read(text)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(read(".nan"))


AWKWARD = [
    "1e-3",
    "no",
    "true",
    "",
    "~",
    "null",
    "010",
    "1_0",
    ".inf",
    "a: b",
    "- a",
    "#c",
    "'",
    "é",
    "\n",
    " x ",
    "=",
    "<<",
]


@pytest.mark.parametrize("value", [*AWKWARD, 1e-05, 1e300, 0.1, 5.0, math.inf, 10**20, -3, True, None, [], {}])
def test_what_is_written_reads_back(value: object) -> None:
    data = {"key": value, "list": [value, [value]], "nested": {"again": value}}
    found = read(dump(data))
    assert found == data
    assert type(found["key"]) is type(value)


def test_the_same_list_twice_is_written_twice() -> None:
    shared = [1, 2]
    assert "&" not in dump({"a": shared, "b": shared})
