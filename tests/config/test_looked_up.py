"""A configuration whose components look up module:Class by themselves is found again from a run's folder."""

from __future__ import annotations

from typing import Any

import pytest

from lifelong.config.load import _mentions_a_module


@pytest.mark.parametrize(
    "value", ["mine:Env", "my.pack_age:Env", "mine:Env-v0", ["x", "mine:Env"], {"a": [{"b": "m:C"}]}]
)
def test_a_name_in_a_module_is_seen_wherever_it_stands(value: Any) -> None:
    assert _mentions_a_module(value)


@pytest.mark.parametrize(
    "value", ["CartPole-v1", "ALE/Pong-v5", "a: b", "12:30", ":", "mine:", None, 3, ["A B"], {"a:b": 1}]
)
def test_other_values_are_not_taken_for_one(value: Any) -> None:
    assert not _mentions_a_module(value)
