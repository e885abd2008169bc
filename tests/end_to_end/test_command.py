"""The command on a whole study: what it leaves on the disk, and how it goes on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifelong.cli import main

DIGITS = Path(__file__).resolve().parents[2] / "configs" / "digits.yaml"
# Two shifts, and time enough to be found in.
SHORT = ["stream.timetable.order=A B A", "stream.timetable.epochs=2", "evaluation.within=1"]


def test_a_study_leaves_every_file_and_a_table(tmp_path, capsys):
    out = tmp_path / "study"
    assert main(["run", str(DIGITS), *SHORT, "record.wandb=offline", "--out", str(out), "--seed", "5"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("finetune", "flagship", "ACC", "BWT", "report.html"))
    for folder in (out, out / "reference"):
        names = {path.name for path in folder.iterdir()}
        wanted = {"config.yaml", "events.jsonl", "scores.csv", "summary.json", "report.html", "checkpoints", "wandb"}
        assert names >= wanted
        assert list((folder / "wandb").glob("**/*.wandb"))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["seed"] == 5
    assert summary["agent"] == "flagship"
    assert main(["report", str(out)]) == 0
    assert main(["report", str(out), str(out / "reference"), "--out", str(tmp_path / "both.html")]) == 0
    assert "finetune" in (tmp_path / "both.html").read_text()


OFTEN = [*SHORT, "record.wandb=disabled", "record.checkpoint_every=10", "record.flush_every=5", "record.report=false"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert main(["run", str(DIGITS), *OFTEN, "--out", str(out)]) == 0
    assert json.loads((out / "summary.json").read_text())["shifts_detected"] == 2
    return out


def test_the_written_configuration_repeats_the_run(tmp_path, whole):
    assert main(["run", str(whole / "config.yaml"), "--out", str(tmp_path)]) == 0
    for part in (".", "reference"):
        one, two = (folder / part / "events.jsonl" for folder in (whole, tmp_path))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("where", [".", pytest.param("reference", marks=pytest.mark.slow)])
def test_a_killed_study_goes_on_where_it_was(where, tmp_path, whole):
    torn = tmp_path / "torn"
    command = [sys.executable, "-m", "lifelong.cli", "run", str(DIGITS), *OFTEN, "--out", str(torn)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    checkpoints = torn / where / "checkpoints"
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline and len(list(checkpoints.glob("*.pt"))) < 2:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (torn / "summary.json").exists(), "the run was over before it could be killed"
    assert main(["resume", str(torn)]) == 0
    for part in (".", "reference"):
        one, two = (folder / part / "events.jsonl" for folder in (whole, torn))
        assert one.read_bytes() == two.read_bytes()


SIGNALS = ["SIGTERM", *(pytest.param(name, marks=pytest.mark.slow) for name in ("SIGUSR1", "SIGINT"))]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_stops_a_study_in_good_order_and_it_goes_on_by_itself(name, tmp_path, whole):
    out = tmp_path / "study"
    seldom = [word for word in OFTEN if "checkpoint_every" not in word]
    command = [sys.executable, "-m", "lifelong", "run", str(DIGITS), *seldom, "--out", str(out), "--resume", "auto"]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (out / "events.jsonl").exists() or len((out / "events.jsonl").read_bytes().splitlines()) < 12:
        assert started.poll() is None
        time.sleep(0.01)
    # Held still, so that it is not over before it is asked to stop. While it is at work, nobody else may write there.
    started.send_signal(signal.SIGSTOP)
    assert main(["resume", str(out)]) == 2
    started.send_signal(getattr(signal, name))
    started.send_signal(signal.SIGCONT)
    said = started.communicate()[1]
    assert started.returncode == 75
    assert f"stopped by {name} after" in said
    assert f"lifelong resume {out}" in said
    assert not (out / "summary.json").exists()
    assert len(list((out / "checkpoints").glob("step-*.pt"))) == 1
    assert main(["run", str(DIGITS), *seldom, "--out", str(out), "--resume", "auto"]) == 0
    for part in (".", "reference"):
        assert (out / part / "events.jsonl").read_bytes() == (whole / part / "events.jsonl").read_bytes()


def test_a_run_is_gone_on_with_only_where_it_is_the_same(tmp_path, whole, capsys):
    stamps = {path: path.stat().st_mtime_ns for path in whole.rglob("*.json*")}
    assert main(["run", str(DIGITS), *OFTEN, "--out", str(whole), "--resume", "auto"]) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert main(["run", str(DIGITS), *OFTEN, "agent.optimizer.lr=0.5", "--out", str(whole), "--resume", "auto"]) == 2
    assert "another configuration (it differs in agent.optimizer.lr, reference.optimizer.lr)" in capsys.readouterr().err
    assert main(["run", str(DIGITS), *OFTEN, "--out", str(whole)]) == 2
    assert "already holds a run" in capsys.readouterr().err
