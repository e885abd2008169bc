"""The examples run as their readers would run them, and hold to the laws."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lifelong import cli
from lifelong.check import check_detector, check_learner, check_stream
from lifelong.config import load_config
from lifelong.config.locate import listing

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


def test_a_plain_loop_forgets_less_with_three_more_lines(load: Load) -> None:
    accuracies = load("plain_loop", "train").accuracies
    plain, held = accuracies(False), accuracies(True)
    assert min(plain[:2]) < 0.7
    assert min(held) > 0.85
