"""Whose an error is: a message is for people where one of ours wrote it, and a defect where nobody did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lifelong.blame import is_for_people, is_ours
from lifelong.config import load_config
from lifelong.evaluation.schedule import Schedule
from lifelong.record.plain import parsed
from lifelong_envs.supervised.timetable import Timetable


def raised(make: Callable[[], object]) -> ValueError | OSError:
    with pytest.raises((ValueError, OSError)) as caught:
        make()
    return caught.value


@pytest.mark.parametrize(
    "make", [lambda: Schedule(within=-1), lambda: Timetable(epochs=0), lambda: load_config("nowhere.yaml")]
)
def test_what_we_raise_is_ours(make: Callable[[], object]) -> None:
    assert is_ours(raised(make))


@pytest.mark.parametrize(
    "make",
    [
        lambda: parsed("{"),
        lambda: np.zeros(3).reshape(2, 2),
        lambda: int("x"),
    ],
)
def test_what_others_raise_is_not(make: Callable[[], object]) -> None:
    error = raised(make)
    assert not is_ours(error)
    assert not is_for_people(error)


def test_a_function_in_c_that_is_called_by_ours_is_not() -> None:
    space: dict[str, object] = {"__name__": "lifelong.made_up"}
    exec("def root(x):\n    return x ** 0.5 + int('x')\n\ndef said():\n    raise ValueError('ours')\n", space)
    assert not is_ours(raised(lambda: space["root"](1.0)))  # type: ignore[operator]
    assert is_ours(raised(lambda: space["said"]()))  # type: ignore[operator]


def test_files_speak_for_themselves() -> None:
    error = raised(lambda: Path("/nowhere/at/all").read_text())
    assert is_for_people(error)
    assert not is_ours(error)
