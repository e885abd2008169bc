"""What was measured once is found again, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lifelong.references.cache import Cache, canonical, key_of, user_cache

DESCRIBED = {"world": "A", "settings": {"lr": 1e-3, "layers": [64, 64]}, "seed": 0}


class Counting:
    """A measurement that counts how often it was made."""

    def __init__(self, value: Any = 3.5) -> None:
        self.value, self.times = value, 0

    def __call__(self) -> Any:
        self.times += 1
        return self.value


def test_a_number_is_measured_once(tmp_path: Path) -> None:
    measure = Counting()
    assert [Cache(tmp_path / "deep" / "cache").measured(DESCRIBED, measure) for _ in range(3)] == [3.5] * 3
    assert measure.times == 1
    assert Cache(tmp_path / "deep" / "cache").known(DESCRIBED) == 3.5


def test_the_key_is_the_content_and_not_the_order() -> None:
    assert key_of(DESCRIBED) == key_of(dict(reversed(list(DESCRIBED.items()))))
    assert key_of({"a": (1, 2)}) == key_of({"a": [1, 2]})
    text = '{"a":[null,true,"ü",0.5],"b":1}'
    assert key_of({"b": 1, "a": [None, True, "ü", 0.5]}) == hashlib.sha256(text.encode("utf-8")).hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {**DESCRIBED, "seed": 1},
        {**DESCRIBED, "seed": "0"},
        {**DESCRIBED, "settings": {"lr": 1e-3, "layers": [64, 64, 64]}},
        {**DESCRIBED, "more": None},
        {key: value for key, value in DESCRIBED.items() if key != "seed"},
    ],
)
def test_anything_else_is_measured_for_itself(tmp_path: Path, other: dict[str, Any]) -> None:
    cache = Cache(tmp_path)
    assert cache.measured(DESCRIBED, Counting(1.0)) == 1.0
    assert cache.measured(other, Counting(2.0)) == 2.0
    assert cache.measured(DESCRIBED, Counting(3.0)) == 1.0


def damages(entry: str) -> dict[str, str]:
    plain = json.loads(entry)
    return {
        "cut": entry[: len(entry) // 2],
        "empty": "",
        "no JSON": "{nonsense",
        "another value": json.dumps({**plain, "value": 4.5}),
        "another description": json.dumps({**plain, "described": {"world": "B"}}),
        "a field short": json.dumps({"value": 3.5}),
        "a list": "[1, 2]",
        "nan": entry.replace("3.5", "NaN"),
    }


@pytest.mark.parametrize("damage", list(damages('{"value": 3.5}')))
def test_a_damaged_entry_is_measured_anew_and_whole_again(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    cache.measured(DESCRIBED, Counting())
    path = cache.path(DESCRIBED)
    path.write_text(damages(path.read_text(encoding="utf-8"))[damage], encoding="utf-8")
    assert cache.known(DESCRIBED) is None
    again = Counting()
    assert cache.measured(DESCRIBED, again) == 3.5
    assert again.times == 1
    assert cache.known(DESCRIBED) == 3.5


def test_nothing_is_left_of_a_measurement_that_failed(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("no luck")

    with pytest.raises(RuntimeError, match="no luck"):
        Cache(tmp_path).measured(DESCRIBED, fail)
    assert list(tmp_path.iterdir()) == []
    Cache(tmp_path).measured(DESCRIBED, Counting())
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_folder_that_cannot_be_written_to_costs_time_and_not_the_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    measure = Counting()
    cache = Cache(tmp_path / "file" / "cache")
    assert [cache.measured(DESCRIBED, measure) for _ in range(2)] == [3.5, 3.5]
    assert measure.times == 2
    assert "cannot be kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("odd", "at"),
    [
        ({"a": {"b": [1, {2}]}}, "a.b[1]"),
        ({"a": float("nan")}, "a"),
        ({"a": float("inf")}, "a"),
        ({1: "x"}, "the top"),
        ({"a": Path("x")}, "a"),
        ({"a": b"x"}, "a"),
    ],
)
def test_what_is_no_plain_data_is_told_with_its_place(tmp_path: Path, odd: Any, at: str) -> None:
    with pytest.raises(ValueError, match="Only plain data") as told:
        Cache(tmp_path).measured(odd, Counting())
    assert str(told.value).endswith(f"at {at}.")
    with pytest.raises(ValueError, match="Only plain data"):
        Cache(tmp_path).measured(DESCRIBED, Counting(odd))
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_something_to_keep(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gave None"):
        Cache(tmp_path).measured(DESCRIBED, Counting(None))


def test_values_come_back_as_json_gives_them(tmp_path: Path) -> None:
    value = {"curve": (0.1, 0.2), "name": "ü", "none": None, "many": [1, True]}
    first = Cache(tmp_path).measured(DESCRIBED, Counting(value))
    second = Cache(tmp_path).measured(DESCRIBED, Counting())
    assert canonical(first) == canonical(second) == canonical(value)


def test_the_folder_is_the_user_s_cache_unless_one_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Cache().folder == tmp_path / "lifelong" / "references"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Cache().folder == tmp_path / ".cache" / "lifelong" / "references"
    assert Cache("~/mine").folder == tmp_path / "mine"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_cache() == tmp_path / "Library" / "Caches"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert user_cache() == tmp_path / "local"
