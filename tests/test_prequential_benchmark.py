"""The benchmark of drifting tables runs, draws and reports on a small table, wherever the real ones are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

# Benchmarks are no part of what is packed with the tests.
prequential = pytest.importorskip("benchmarks.prequential")


def test_a_small_table_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    rows = draw.standard_normal((160, 3))
    labels = (rows[:, 0] > 0).astype(int)
    np.savetxt(tmp_path / "rows.txt", rows)
    np.savetxt(tmp_path / "labels.txt", labels, fmt="%d")
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path))
    small = {"small": prequential.Files("rows.txt", "labels.txt", "whitespace", drop=(2,))}
    monkeypatch.setattr(prequential, "STREAMS", small)
    found, picture = tmp_path / "found.json", tmp_path / "picture.svg"
    monkeypatch.setattr(sys, "argv", ["prequential", "--quick", "--json", str(found), "--picture", str(picture)])
    prequential.main()
    by_learner = {
        (row["learner"], row["label lags"]): float(row["accuracy %"]) for row in json.loads(found.read_text())
    }
    assert by_learner.keys() == {(name, lags) for name in prequential.ENTRANTS for lags in (0, 1)}
    # 159 rows are learned; the first is answered with nothing to repeat, by the first class.
    right = np.append(labels[0] == 0, labels[1:159] == labels[:158])
    assert by_learner["persistence", 0] == pytest.approx(100 * right.mean(), abs=0.01)
    assert by_learner["tracker", 0] > 80 > by_learner["persistence", 0]
    assert "<svg" in picture.read_text()


def test_figures_of_river_belong_to_streams_that_are_there() -> None:
    river = pytest.importorskip("benchmarks.prequential_river")
    assert {stream for stream, _ in river.FIGURES} <= set(prequential.STREAMS)
    assert {lags for _, lags in river.FIGURES} <= {0, 1}


def test_river_can_be_measured_again_where_it_is_installed() -> None:
    pytest.importorskip("river")
    from benchmarks import prequential_river

    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(120, 3, generator=draw)
    labels = (rows[:, 0] > 0).long()
    found = {(figure.learner, figure.memory): figure for figure in prequential_river.measured(rows, labels, lags=1)}
    arf, recall = prequential_river.ARF, prequential_river.RECALLED
    assert set(found) == {(name, "none") for name in ("logistic", "kNN, window 1000", arf)} | {(arf, recall)}
    assert all(float(figure.accuracy) > 60 for figure in found.values())


def test_without_the_tables_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "argv", ["prequential"])
    prequential.main()
    assert "Skipped" in capsys.readouterr().out
