"""Bad input in small numbers, of every kind that benchmarks.fuzz has; and that nothing bad would go unseen."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lifelong_envs.supervised.data import Idx

# Benchmarks are no part of what is packed with the tests, and limits of memory none of every system.
pytest.importorskip("resource")
pytest.importorskip("benchmarks.fuzz.families")

from benchmarks.fuzz import configs, small
from benchmarks.fuzz.__main__ import tried
from benchmarks.fuzz.families import FAMILIES
from benchmarks.fuzz.trial import Family, Fault, attempt
from benchmarks.fuzz.workers import Limits

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited by what Linux tells")
CASES = {
    "settings": 30,
    "yaml": 30,
    "overrides": 30,
    "runs": 4,
    "idx": 50,
    "csv": 50,
    "npz": 50,
    "messages": 50,
    "checkpoints": 40,
    "records": 15,
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two configurations and two lives instead of all: what is prepared for ten thousand cases would take longest."""
    found = [configs.CONFIGS / "digits.yaml", configs.CONFIGS / "rl" / "worlds.yaml"]
    monkeypatch.setattr(configs, "originals", lambda: found)
    for name in set(small.LIVES) - {"retained"}:
        monkeypatch.delitem(small.LIVES, name)
    monkeypatch.setenv("LIFELONG_DATA", "")


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])
def test_no_bad_input_of_any_kind_is_anything_but_refused(family: Family, tmp_path: Path) -> None:
    found = tried(family, range(CASES[family.name]), seed=1, place=tmp_path)
    assert [(one.number, one.why, one.where) for one in found if one.verdict == "bad"] == []
    became = Counter(one.verdict for one in found)
    assert became["refused"] > 0
    assert became["accepted"] > 0 or family.name in ("csv", "npz", "runs")


def reads(how: str) -> Callable[[random.Random, Path], bool]:
    """A reader with one fault."""

    def read(draw: random.Random, place: Path) -> bool:
        match how:
            case "nothing":
                return True
            case "our words":
                Idx(place, train_limit=0)
            case "an index":
                [][draw.randrange(1, 3)]
            case "foreign words":
                np.zeros(3).reshape(2, 2)
            case "no words":
                raise Fault("the file ran a command")
            case "sleep":
                time.sleep(60)
            case "death":
                os.abort()
            case "exit":
                os._exit(3)
            case "memory":
                raise KeyError(len(bytearray(1 << 40)))
        return False

    return read


FAULTS = {
    "nothing": ("accepted", ""),
    "our words": ("refused", "train_limit=0"),
    "an index": ("bad", "IndexError: list index out of range"),
    "foreign words": ("bad", "a foreign ValueError: cannot reshape"),
    "no words": ("bad", "the file ran a command"),
    "sleep": ("bad", "hang: the time was up"),
    "death": ("bad", "the process died (-6)"),
    "exit": ("bad", "the process died (3)"),
    "memory": ("refused", ""),
}


@pytest.mark.parametrize(("how", "verdict", "why"), [(how, *told) for how, told in FAULTS.items()], ids=FAULTS)
def test_what_is_bad_is_seen(tmp_path: Path, how: str, verdict: str, why: str) -> None:
    family = Family("made up", 3, 3, lambda place: reads(how))
    found = tried(family, range(3), 0, tmp_path, limits=Limits(seconds=0.2, memory=1 << 30))
    assert [(one.number, one.verdict) for one in found] == [(0, verdict), (1, verdict), (2, verdict)]
    assert all(why in one.why for one in found)


def test_a_case_is_the_same_whenever_it_is_tried(tmp_path: Path) -> None:
    drawn: list[float] = []

    def read(draw: random.Random, place: Path) -> bool:
        drawn.append(draw.random())
        return True

    for number in (5, 6, 5):
        attempt(read, "made up", number, 0, tmp_path)
    assert drawn[0] == drawn[2] != drawn[1]
