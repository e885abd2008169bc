"""River's detectors as ours: the same drifts, one-sided, saved and refused with care."""

from __future__ import annotations

import os
import pickle
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from lifelong.check import check_detector
from lifelong.shift.river_adapter import River

has_river = pytest.mark.skipif(find_spec("river") is None, reason="River is not installed")


def worlds(*levels: float) -> list[float]:
    rng = np.random.default_rng(0)
    return [float(v) for level in levels for v in rng.normal(level, 0.1, 300)]


@has_river
def test_its_adwin_meets_our_laws() -> None:
    check_detector(River, scale_free=False)
    check_detector(lambda: River(cooldown=30, warmup=40))


@has_river
@pytest.mark.parametrize("name", ["ADWIN", "KSWIN", "PageHinkley"])
def test_drifts_are_rivers_and_only_rises_count(name: str) -> None:
    drift = pytest.importorskip("river.drift")
    settings = {"KSWIN": {"seed": 0, "alpha": 1e-5}, "PageHinkley": {"threshold": 5.0}}.get(name, {})
    theirs, both, rises = getattr(drift, name)(**settings), River(name, settings, "both"), River(name, settings)
    found: list[int] = []
    ups: list[int] = []
    for at, value in enumerate(worlds(1.0, 2.0, 1.0)):
        theirs.update(value)
        assert bool(both.update(value)) == theirs.drift_detected
        if theirs.drift_detected:
            found.append(at)
        if rises.update(value) is not None:
            ups.append(at)
    assert {at // 300 for at in found} == {1, 2}
    assert {at // 300 for at in ups} == {1}


@has_river
def test_the_onset_is_where_the_levels_part() -> None:
    detector = River()
    at, shift = next((i, s) for i, s in enumerate(map(detector.update, worlds(1.0, 2.0))) if s is not None)
    assert abs(at - shift.onset + 1 - 300) <= 1


@has_river
@pytest.mark.parametrize("name", ["ADWIN", "KSWIN", "PageHinkley", "DummyDriftDetector"])
def test_a_restored_one_goes_on_identically(name: str) -> None:
    settings = {"KSWIN": {"seed": 0}, "DummyDriftDetector": {"seed": 0}}.get(name, {})
    detector, twin = River(name, settings, "both"), River(name, settings, "both")
    values = worlds(1.0, 2.0)
    for value in values[:290]:
        detector.update(value)
    twin.load_state_dict(detector.state_dict())
    assert [detector.update(v) for v in values[290:]] == [twin.update(v) for v in values[290:]]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


class Sly:
    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, ("{0.__class__}", "format")


class Reaching:
    """One of River's own classes, that would fetch a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        import river.datasets

        return getattr, (river.datasets.TrumpApproval(), "first_half")


@has_river
@pytest.mark.parametrize("evil", [Evil(), Sly(), Reaching()])
def test_a_state_that_would_run_something_is_refused(evil: object) -> None:
    detector = River()
    with pytest.raises(pickle.UnpicklingError, match="no place in the state"):
        detector.load_state_dict(detector.state_dict() | {"theirs": pickle.dumps(evil)})


@has_river
def test_wrong_names_and_settings_are_refused_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match=r"no detector 'Adwin'\. It has ADWIN, "):
        River("Adwin")
    with pytest.raises(ValueError, match=r"ADWIN does not take these settings.*strength"):
        River(settings={"strength": 3})
    with pytest.raises(ValueError, match="memory=1"):
        River(memory=1)


def test_without_river_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "river"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(ImportError, match=r'pip install "lifelong\[river\]"'):
        River()
