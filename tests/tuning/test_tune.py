"""The search for settings: what is tried, what is kept, and that it goes on where it was."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from lifelong import cli
from lifelong.config import load_config
from lifelong.study.engine_here import HereEngine
from lifelong.tuning import tune as tuning
from lifelong.tuning.space import Choice, Range, dimension
from lifelong.tuning.trials import Outcome
from lifelong.tuning.tune import Search, Tried, best_of, tune

pytest.importorskip("optuna")

TINY = """\
stream: {name: tuned_parts:blobs, order: A B A C}
agent: {name: finetune, network: {name: mlp, hidden: [8]}, optimizer: {name: sgd, lr: 0.01}}
threads: 1
device: cpu
evaluation: {within: 0}
record: {wandb: disabled}
"""
PARTS = '''
from toys import toy_stream


def blobs(order: str = "A B A C", seed: int = 0):
    """Permuted blobs."""
    return toy_stream(order, seed, steps=12)
'''
SPACE = (Range("agent.optimizer.lr", 1e-5, 0.3, True), Choice("agent.network.hidden", ("[8]", "[16]")))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tuned_parts.py").write_text(PARTS, encoding="utf-8")
    Path("tiny.yaml").write_text(TINY, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("agent.optimizer.lr=1e-4:0.1:log", Range("agent.optimizer.lr", 1e-4, 0.1, True)),
        ("agent.memory=100:1000", Range("agent.memory", 100, 1000, False)),
        ("agent.share=never,auto", Choice("agent.share", ("never", "auto"))),
        ("agent.network.hidden=[8],[16, 16]", Choice("agent.network.hidden", ("[8]", "[16, 16]"))),
    ],
)
def test_a_space_is_spelled_out(text: str, wanted: object) -> None:
    found = dimension(text)
    assert found == wanted
    assert getattr(found, "whole", None) == {"agent.memory": True, "agent.optimizer.lr": False}.get(found.key)


@pytest.mark.parametrize(
    "text",
    ["agent.lr", "stream.seed=1:2", "agent.lr=2:1", "agent.lr=0:1:log", "agent.lr=a:b", "agent.lr=3", "agent.x=a,"],
)
def test_other_spaces_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="got --space"):
        dimension(text)


def tried(number: int, acc: float | None, learning: float | None = None, forgetting: float | None = None) -> Tried:
    return Tried(number, {}, Outcome(acc, learning, forgetting))


def test_the_best_is_that_of_the_objective() -> None:
    found = [tried(0, 0.7, 0.9, 0.2), tried(1, 0.6, 0.7, 0.01), tried(2, 0.65, 0.8, 0.05), tried(3, None)]
    space = SPACE
    assert best_of(found, Search(space)) == found[0]
    assert best_of(found, Search(space, objective="acc+budget", budget=0.05)) == found[2]
    assert best_of(found, Search(space, objective="acc+budget", budget=0.001)) == found[1]
    assert best_of([tried(0, None)], Search(space)) is None


def test_a_search_finds_writes_and_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tune", "tiny.yaml", "--tasks", "2", "--seeds", "100", "--out", "search"]
    space = ["--space", "agent.optimizer.lr=1e-5:0.3:log", "agent.network.hidden=8,16"]
    assert cli.main([*command, *space, "--trials", "1"]) == 2
    assert "hidden: got 8, expected a list" in capsys.readouterr().err
    space[-1:] = []
    assert cli.main([*command, *space, "--trials", "3"]) == 0
    runs = sorted(Path("search/trials").glob("*/seed-100"))
    assert len(runs) == 3
    lived = load_config(runs[0] / "config.yaml")
    study = lived.build()
    assert ([task.name for task in study.stream.tasks], len(study.stream.segments)) == (["A", "B"], 2)

    # Stopped in the middle of a trial: it is tried again, and what was finished stands.
    class Stop(Exception):
        pass

    def stopped(*_: Any) -> Outcome:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "live", stopped)
        with pytest.raises(Stop):
            cli.main([*command, *space, "--trials", "5"])
    stamps = {path: path.stat().st_mtime_ns for path in Path("search/trials").glob("*/seed-100/summary.json")}
    assert cli.main([*command, *space, "--trials", "5"]) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    rows = list(csv.DictReader(Path("search/trials.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 5
    assert len({row["agent.optimizer.lr"] for row in rows}) == 5
    best = max(rows, key=lambda row: float(row["acc"]))
    found = load_config("search/best.yaml").as_dict()
    assert found["agent"]["optimizer"]["lr"] == float(best["agent.optimizer.lr"])
    assert found["stream"]["name"] == "tuned_parts:blobs"
    assert Path("search/best.yaml").read_text(encoding="utf-8").startswith("# lifelong run search/best.yaml\n")

    capsys.readouterr()
    assert cli.main([*command, *space, "--trials", "5", "agent.optimizer.momentum=0.5"]) == 2
    assert "search holds another search" in capsys.readouterr().err


def test_two_searches_of_one_seed_try_the_same() -> None:
    resolved = load_config("tiny.yaml")
    search = Search(SPACE, trials=2, segments=2, seeds=(3, 4), objective="acc+budget", budget=0.3)
    assert tune(resolved, Path("one"), search, HereEngine()) == tune(resolved, Path("two"), search, HereEngine())
    assert Path("one/trials.csv").read_bytes() == Path("two/trials.csv").read_bytes()


def test_without_a_space_or_optuna_one_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tune", "tiny.yaml"]) == 2
    assert "give --space key.path=low:high" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert cli.main(["tune", "tiny.yaml", "--space", "agent.optimizer.lr=0.1:0.2"]) == 2
    assert "pip install 'lifelong[tune]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "space", "whole"),
    [
        ("agent.detector={name: cusum, threshold: 9}", "agent.detector.threshold=1:3", False),
        ("agent.drift_every=50", "agent.drift_every=20:60", True),
    ],
)
def test_numbers_are_whole_where_the_setting_is(setting: str, space: str, whole: bool) -> None:
    resolved = load_config("tiny.yaml", ["agent={name: retain, retention: [er], read_every: 1}", setting])
    best = tune(resolved, Path("search"), Search((dimension(space),), trials=1, segments=1, seeds=(3,)), HereEngine())
    assert best is not None
    (value,) = best.values.values()
    assert value.isdigit() == whole


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budget", "0.1"], "got --budget 0.1, expected a number from 0 on, together with --objective acc+budget"),
        (["--tasks", "9"], "got --tasks 9, and the stream has 4 segments: take fewer"),
        (["--held-out", "1.5"], "got --tasks 3 and --held-out 1.5, expected at least 1 task and a share"),
        (["--space", "agent.optimizer.name=sgd,sgdx"], "'sgdx'"),
    ],
)
def test_mistakes_are_found_before_the_first_trial(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tune", "tiny.yaml", "--space", "agent.optimizer.lr=0.1:0.2", *options, "--out", "search"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "trial" not in captured.out
    assert not Path("search").exists()


def test_what_matters_from_the_second_task_on_is_not_tried_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    agent = "agent={name: retain, retention: [ewc]}"
    command = ["tune", "tiny.yaml", agent, "--space", "agent.retention.0.strength=1:10", "--tasks"]
    assert cli.main([*command, "1"]) == 2
    assert "agent.retention.0.strength: this begins to matter as the first task has ended" in capsys.readouterr().err
