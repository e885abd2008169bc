"""The bench of detectors: what it counts, what it is fed, and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lifelong.shift.cusum import Cusum

# Benchmarks are no part of what is packed with the tests.
detect = pytest.importorskip("benchmarks.detect")
streams = pytest.importorskip("benchmarks.detect_streams")


class AtSteps:
    """Fires at the steps it is told to, counted from the start of the series."""

    def __init__(self, *steps: int) -> None:
        self.steps, self.step = steps, 0

    def update(self, value: float) -> object:
        self.step += 1
        return object() if self.step in self.steps else None

    def reset(self) -> None:
        pass


def test_scores_are_those_of_the_matching_rule() -> None:
    series = [streams.Series("made", np.zeros(500), (100, 300)), streams.Series("other", np.zeros(50), ())]
    section = detect.Section("x", [], series, detect.alarms)
    # Before the first shift: false. 4 after it: found; then false. The second shift: missed, or found after 200.
    score = detect.scored(section, "some", lambda: AtSteps(50, 104, 200), "made")
    assert (score.shifts, score.recall, score.delay, score.false_per_1000) == (2, 0.5, 4, 4.0)
    score = detect.scored(section, "some", lambda: AtSteps(102, 500), "made")
    assert (score.recall, score.delay, score.false_per_1000) == (1.0, 101, 0.0)
    still = detect.scored(section, "some", lambda: AtSteps(10), "other")
    assert (still.recall, still.delay, still.false_per_1000, still.cell) == (None, None, 20.0, "- - 20")


def test_the_dummy_fires_every_fifty_values() -> None:
    assert detect.alarms(detect.Dummy(), streams.Series("x", np.zeros(170), ())) == [50, 100, 150]


def test_simulated_streams_have_their_shifts_where_they_say() -> None:
    found = {s.family: s for s in streams.simulated(0, 1)}
    assert len(found) == 12
    for family, series in found.items():
        values = np.array(series.values)
        for at in series.onsets:
            before, after = values[at - 30 : at].mean(), values[at : at + 20].mean()
            if family.startswith(("jump", "t3", "AR", "outliers", "curve", "segments")):
                assert after > before + 0.1
            if family.startswith("easier"):
                assert after < before - 0.5
    assert found["no shift"].onsets == ()
    assert found["segments of 64"].onsets == tuple(range(64, 512, 64))
    # First-order correlation and spread of the noise are as named.
    noise = streams.autoregressive(0.9)(np.random.default_rng(0), 50_000)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] == pytest.approx(0.9, abs=0.01)
    assert noise.std() == pytest.approx(1.0, abs=0.05)


def test_recorded_losses_are_those_of_a_network_that_learns_and_is_surprised() -> None:
    series = next(iter(streams.recorded(0, None, quick=True)))
    assert series.family == "digits permuted"
    assert len(series.onsets) == 4
    losses = np.array(series.values)
    first = series.onsets[0]
    assert losses[first - 10 : first].mean() < 0.6 * losses[:5].mean()
    assert losses[first : first + 3].mean() > 2 * losses[first - 10 : first].mean()


def test_it_runs_and_writes_numbers_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, "SCALAR", [("cusum", Cusum), ("every 50", detect.Dummy)])
    monkeypatch.setattr(detect, "recorded", lambda seed, data, quick: iter(()))
    found, drawn = tmp_path / "found.json", tmp_path / "drawn.svg"
    own = ["--detector", "lifelong.shift.page_hinkley:PageHinkley"]
    detect.main(["--quick", "--json", str(found), "--picture", str(drawn), *own])
    rows = json.loads(found.read_text())
    assert {row["contender"] for row in rows} == {"cusum", "every 50", "PageHinkley"}
    jumps = {row["contender"]: row for row in rows if row["family"] == "jump of 10 sd"}
    assert jumps["cusum"]["recall"] == 1.0
    assert jumps["cusum"]["false_per_1000"] == 0.0
    assert jumps["every 50"]["false_per_1000"] > 10
    assert "PageHinkley" in capsys.readouterr().out
    assert "<svg" in drawn.read_text()


def test_what_is_no_detector_is_refused() -> None:
    for reference in ("nothing", "lifelong.shift.cusum:Nothing", "not_a_module:X"):
        with pytest.raises(ValueError, match="expected module:Class"):
            detect.own_detector(reference)
