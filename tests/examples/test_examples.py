"""The examples run as their readers would run them, and hold to the laws."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lifelong import Cusum, cli
from lifelong.acting.learner import LifelongActor
from lifelong.check import check_acting_learner, check_detector, check_learner, check_stream
from lifelong.config import load_config
from lifelong.config.locate import listing
from lifelong.evaluation.summary import Summary
from lifelong.events import Logged
from lifelong.interaction import Stage
from lifelong.record.folder import RunFolder
from lifelong.record.jsonl import read_events

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Load = Callable[[str, str], ModuleType]
QUICK = ["threads=1", "evaluation.within=1", "record.wandb=disabled", "record.console=false"]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a module of an example, and forget it afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def loaded(folder: str, module: str) -> ModuleType:
        sys.path.insert(0, str(EXAMPLES / folder))
        importlib.invalidate_caches()
        return importlib.import_module(module)

    yield loaded
    for name in set(sys.modules) - before:
        if str(EXAMPLES) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def ran(folder: Path) -> bool:
    """Whether a run and its reference were recorded to the end."""
    files = ("events.jsonl", "summary.json", "report.html", "reference/summary.json")
    return all((folder / name).stat().st_size > 0 for name in files)


def test_own_stream_runs_beside_folders_called_envs_and_agents(tmp_path: Path) -> None:
    quick = [*QUICK, "stream.steps=30", "stream.tasks=2"]
    command = [sys.executable, "-m", "lifelong.cli", "run", "study.yaml", "--out", str(tmp_path / "run"), *quick]
    place = EXAMPLES / "own_stream"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ran(tmp_path / "run")


@pytest.mark.parametrize("name", ["own_agent", "own_detector"])
def test_example_runs(name: str, load: Load, tmp_path: Path) -> None:
    quick = [*QUICK, "stream.timetable.samples=200", "stream.timetable.epochs=1"]
    assert cli.main(["run", str(EXAMPLES / name / "study.yaml"), "--out", str(tmp_path / "run"), *quick]) == 0
    assert ran(tmp_path / "run")


def test_plugin_package_is_found_by_name_once_installed(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EXAMPLES / "plugin_package" / "study.yaml"
    assert "drifting_blobs" not in [item.name for item in listing("lifelong.streams")]
    info = tmp_path / "drifting_blobs-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: drifting-blobs\nVersion: 0.1.0\n")
    declared = (EXAMPLES / "plugin_package" / "pyproject.toml").read_text().partition('[project.entry-points."')[2]
    group, _, points = declared.partition('"]\n')
    (info / "entry_points.txt").write_text(f"[{group}]\n{points}".replace('"', ""))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES / "plugin_package"))
    (found,) = [item for item in listing("lifelong.streams") if item.name == "drifting_blobs"]
    assert found.package == "drifting-blobs"
    assert (
        found.summary
        == "Four blobs in the plane that drift upwards, and whose labels move on by one, from task to task."
    )
    assert cli.main(["run", str(config), "--out", str(tmp_path / "run"), *QUICK, "stream.steps=30"]) == 0
    assert ran(tmp_path / "run")
    assert load_config(tmp_path / "run" / "config.yaml").as_dict()["stream"]["name"] == "drifting_blobs"


def test_examples_hold_to_the_laws(load: Load) -> None:
    spirals = load("own_stream", "spirals").Spirals(tasks=2, steps=25)
    blobs = load("plugin_package", "drifting_blobs.stream").drifting_blobs(tasks=2, steps=25)
    check_stream(spirals)
    check_stream(blobs)
    check_learner(load("own_agent", "nearest").NearestMean, blobs)
    check_detector(load("own_detector", "two_windows").TwoWindows, scale_free=True)


def test_a_plain_loop_forgets_less_with_three_more_lines() -> None:
    source = (EXAMPLES / "plain_loop" / "train.py").read_text(encoding="utf-8")
    assert source.count("range(15)") == 1
    names: dict[str, Any] = {"__name__": "train"}
    exec(compile(source.replace("range(15)", "range(5)"), "train.py", "exec"), names)
    plain, held = names["accuracies"](False), names["accuracies"](True)
    assert min(plain[:2]) < 0.7
    assert min(held) > 0.85


def lived_in_worlds(example: str, out: Path, *quick: str) -> tuple[Summary, Summary]:
    """How the agent and its reference came out of an example's study, judged at the ends of visits alone."""
    overrides = [*QUICK, "evaluation.within=0", "record.frames=false", *quick]
    assert cli.main(["run", str(EXAMPLES / example / "study.yaml"), "--out", str(out), *overrides]) == 0
    assert ran(out)
    return RunFolder(out).read_summary(), RunFolder(out / "reference").read_summary()


@pytest.mark.slow
def test_a_ferry_finds_that_the_tide_has_turned(load: Load, tmp_path: Path) -> None:
    quick = ["stream.timetable.order=ebb flood", "stream.timetable.steps=[7680,5120]"]
    agent, reference = lived_in_worlds("own_env", tmp_path / "run", *quick)
    assert (agent.experts, agent.shifts_detected, agent.false_alarms, agent.missed_shifts) == (2, 1, 0, 0)
    assert reference.experts == 1
    assert agent.acc is not None
    assert reference.acc is not None
    assert agent.acc > reference.acc + 0.2


def test_a_ferry_drifts_with_the_current_and_is_paid_for_where_it_lands(load: Load) -> None:
    ferry = load("own_env", "ferry").Ferry(current=0.0, gusts=0.0)
    (_, along), _ = ferry.reset(seed=0)
    steps = [ferry.step(2) for _ in range(20)] + [ferry.step(0) for _ in range(18)] + [ferry.step(1) for _ in range(2)]
    # 20 steps to one side and 18 to the other: two steps of the helm, 0.03 each, are left.
    walk = abs(along + 2 * 0.03)
    assert steps[-1][1] == pytest.approx(1 - 4 * walk, abs=1e-6)
    assert [ended for _, _, ended, _, _ in steps] == [False] * 39 + [True]
    assert [info["success"] for *_, info in steps] == [False] * 39 + [walk < 0.25]
    landings = []
    for current in (0.085, -0.085):
        ferry = load("own_env", "ferry").Ferry(current=current, gusts=0.0)
        begins = ferry.reset(seed=0)[0][1]
        way = [ferry.step(1)[0][1] for _ in range(40)]
        assert abs(way[-1] - way[-2]) > 2 * 0.03, "at the far bank the current is stronger than the helm"
        landings.append(way[-1] - begins)
    assert landings[0] == pytest.approx(-landings[1], abs=1e-5)


def test_an_algorithm_of_ones_own_explores_less_where_returns_are_higher(load: Load) -> None:
    make = load("own_algorithm", "own").MyPpo
    model = make("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, ent_coef=0.02, seed=0)
    model.learn(8)
    assert model.ent_coef == 0.02
    for returns, wanted in (([100.0, 300.0], 0.02 * 0.6), ([500.0], 0.0), ([900.0], 0.0), ([], 0.02)):
        model.ep_info_buffer.clear()
        model.ep_info_buffer.extend({"r": r, "l": 1} for r in returns)
        model.train()
        assert model.ent_coef == pytest.approx(wanted)


@pytest.mark.slow
def test_experts_are_made_of_an_algorithm_of_ones_own(load: Load, tmp_path: Path) -> None:
    agent, reference = lived_in_worlds("own_algorithm", tmp_path / "run", "stream.timetable.steps=[5120,2560]")
    assert (agent.experts, reference.experts) == (2, 1)
    events = read_events(tmp_path / "run" / "events.jsonl")
    said = [event.values["train/ent_coef"] for _, event in events if isinstance(event, Logged) and event.expert == 0]
    assert said[0] > said[-1] > 0.0


def test_reinforcement_learning_of_ones_own_meets_the_contract(load: Load) -> None:
    make, lived = load("own_policy", "cross_entropy").CrossEntropy, load("own_policy", "train").lived
    many = lived(LifelongActor(make(), Cusum()), steps=10_240, order="A B")
    alone = lived(LifelongActor(make(), None, max_experts=1), steps=10_240, order="A B")
    assert (many.summary.experts, many.summary.shifts_detected, many.summary.false_alarms) == (2, 1, 0)
    learned, kept = many.matrix.scores[1:, 0]
    assert learned > 0.8
    assert kept > learned - 0.1
    assert alone.matrix.scores[2, 0] < 0.2
    ferry = load("own_env", "ferry").Ferry()
    policy = make(seed=1).spawn(0, Stage(ferry.observation_space, ferry.action_space, 2))
    assert policy.parameters() == 3 * 3
    with pytest.raises(ValueError, match="needs a vector and a choice here, got"):
        make().spawn(0, Stage(ferry.action_space, ferry.observation_space, 2))


def test_reinforcement_learning_of_ones_own_holds_to_the_laws(load: Load) -> None:
    make = load("own_policy", "cross_entropy").CrossEntropy
    flip = importlib.import_module("lifelong_envs.rl.cartpole_flip").cartpole_flip
    timetable = importlib.import_module("lifelong_envs.rl.timetable").Timetable
    check_acting_learner(lambda: LifelongActor(make(), Cusum()), flip(timetable(order="A B", steps=4096)))
