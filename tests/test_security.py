"""The promises of SECURITY.md, one by one, each tried with what somebody would send who does not mean well."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lifelong.checkpoint import CheckpointError, Mark, read_checkpoint, save_checkpoint
from lifelong.cli import main
from lifelong.config import ConfigError, load_config
from lifelong.events import FramesDrawn
from lifelong.network import Mlp
from lifelong.record.frames import picture_name
from lifelong.record.jsonl import EventLog
from lifelong.record.report import write_report
from lifelong.shelf import Shelf
from lifelong.study.engine_here import HereEngine
from lifelong.study.plan import plan_study
from lifelong.study.run import study
from lifelong_agents.finetune import Finetune
from lifelong_envs.supervised.data import Npz

EVIL = '<script>alert(1)</script>" onload="x()'
OUTSIDE = ("../../escaped", "/tmp/escaped", "..", "a/../../../escaped", "C:\\escaped", "x\0y")

PARTS = '''
import torch
from lifelong.experience import Batch, Truth
from lifelong.objective import Classification, Contract
from lifelong.stream import Segment, Task

class Blobs:
    """Two tasks of two classes, called whatever one likes."""

    def __init__(self, title: str = "blobs", seed: int = 0) -> None:
        self.name, contract = title, Contract((2,), 2, Classification())
        self.tasks = [Task(f"{title} {k}", contract, torch.eye(2), torch.arange(2)) for k in (1, 2)]
        self.segments = [Segment(task.name, 6) for task in self.tasks]

    def experiences(self, start: int = 0):
        for step in range(start, 12):
            task = self.tasks[step // 6]
            yield Batch(torch.eye(2), torch.arange(2), task.contract), Truth(task.name, step // 6)
'''
STUDY = """
stream: {name: "security_parts:Blobs"}
agent: {name: finetune, network: {name: mlp, hidden: [4]}}
evaluation: {within: 0}
record: {wandb: disabled, console: false}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, two levels down, with a study and its module."""
    place = tmp_path / "deep" / "down"
    place.mkdir(parents=True)
    (place / "security_parts.py").write_text(PARTS)
    (place / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(place)
    return place


# Nothing runs code unless you name it.

TAGS = (
    "!!python/object/apply:os.system [touch canary]",
    "!!python/object/new:os.system [touch canary]",
    "!!python/object/apply:subprocess.Popen {args: [touch, canary]}",
    "!!python/name:os.system x",
    "!!python/module:antigravity x",
    "!!python/object:lifelong.events.Skipped {why: x}",
    "!<tag:yaml.org,2002:python/object/apply:os.system> [touch canary]",
    "!!set {a, b}",
    "!include study.yaml",
)


@pytest.mark.parametrize("tag", TAGS)
def test_tags_are_refused_and_run_nothing(folder: Path, tag: str) -> None:
    (folder / "tagged.yaml").write_text(STUDY.replace("name: finetune", f"name: {tag}"))
    for arguments in (("tagged.yaml",), ("study.yaml", [f"agent.name={tag}"])):
        with pytest.raises(ConfigError, match="does not belong in a configuration"):
            load_config(*arguments)
    assert not (folder / "canary").exists()


def test_what_lies_beside_a_configuration_and_is_not_named_is_never_imported(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder from a stranger, with files that are called like libraries which are loaded late."""
    for name in ("late_library", "later_library"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported')\n")
        (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "installed_part.py").write_text("import late_library\nfrom lifelong_agents.finetune import Finetune\n")
    info = tmp_path / "installed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lifelong.agents]\ninstalled = installed_part:Finetune\n")
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    load_config("study.yaml", ["agent=installed"]).build()
    assert Path(importlib.import_module("later_library").__file__ or "").parent == tmp_path


# A checkpoint runs nothing.


class Attack:
    """Whoever unpickles it calls something."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._call = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._call


ATTACKS: dict[str, Callable[[str], Attack]] = {
    "a shell": lambda canary: Attack(os.system, f"touch {canary}"),
    "a process": lambda canary: Attack(subprocess.check_output, ["touch", canary]),
    "a file": lambda canary: Attack(open, canary, "w"),
    "an expression": lambda canary: Attack(eval, f"open({canary!r}, 'w')"),
    "torch itself": lambda canary: Attack(torch.save, 1, canary),
    "a reader of ours": lambda canary: Attack(load_config, canary),
    "an attribute": lambda canary: Attack(getattr, Path(canary), "touch"),
    "a call that is put off": lambda canary: Attack(functools.partial, os.system, f"touch {canary}"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("way", ["inside", "whole", "old", "bare"])
def test_a_checkpoint_runs_nothing(tmp_path: Path, attack: Callable[[str], Attack], way: str) -> None:
    canary = tmp_path / "canary"
    made = attack(str(canary))
    if way == "inside":
        kept = torch.load(save_checkpoint(tmp_path, Mark(1, 0.0), Finetune(Mlp((4,)))), weights_only=True)
        torch.save({**kept, "learner": made}, tmp_path / "x")
    elif way == "bare":
        (tmp_path / "x").write_bytes(pickle.dumps(made))
    else:
        torch.save(made, tmp_path / "x", _use_new_zipfile_serialization=way == "whole")
    # Whoever makes the file can give it the right name as well.
    digest = hashlib.sha256((tmp_path / "x").read_bytes()).hexdigest()[:16]
    path = (tmp_path / "x").rename(tmp_path / f"step-000000000001-{digest}.pt")
    canary.unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint") as caught:
        read_checkpoint(path)
    assert not canary.exists()
    # Nobody is told how to read it after all.
    assert "weights_only" not in str(caught.value)


def test_what_an_archive_holds_runs_nothing_either(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    shelf = Shelf(tmp_path / "archive")
    ticket = shelf.put({"weight": torch.ones(2)})
    torch.save(Attack(open, str(canary), "w"), tmp_path / "archive" / f"{ticket}.pt")
    with pytest.raises(ValueError, match="the file is damaged"):
        shelf.take(ticket, torch.device("cpu"))
    assert not canary.exists()


# Data files are read as numbers.


def test_an_npz_file_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    arrays = {"x_train": np.zeros((2, 2)), "y_train": np.arange(2), "x_test": np.zeros((2, 2)), "y_test": np.arange(2)}
    for key in arrays:
        trapped = np.array([Attack(open, str(canary), "w")] * 2, dtype=object)
        np.savez(tmp_path / "data.npz", **{**arrays, key: trapped})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"{key} cannot be read as an array of numbers"):
            Npz(tmp_path / "data.npz").load(torch.device("cpu"))
    assert not canary.exists()


# A report is a page without scripts; names and messages in it are escaped.


class Harmless(HTMLParser):
    """Fails for a script, for what an attribute would run, and for whatever is fetched."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form"), tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "action"):
                assert (value or "").startswith(("#", "data:image/png;base64,")), (tag, name, value)


def harmless(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    Harmless().feed(text)
    assert "alert(1)" in text
    assert "<script" not in text.lower()


def test_names_are_escaped_on_every_page(folder: Path) -> None:
    title = EVIL.replace('"', '\\"')
    (folder / "evil.yaml").write_text(
        STUDY.replace('"security_parts:Blobs"', f'"security_parts:Blobs", title: "{title}"')
        + f'agents: {{"{title}": finetune, "{title} again": {{name: finetune, optimizer: {{lr: 0.5}}}}}}\n'
    )
    assert main(["run", "evil.yaml", "--out", "one"]) == 0
    assert main(["run", "evil.yaml", "--out", "two", "agent.optimizer.lr=0.1", "record.report=false"]) == 0
    harmless(folder / "one/report.html")
    assert main(["report", "one", "two", "--out", "both.html"]) == 0
    assert main(["analyse", "one", "two", "--out", "analysis.html"]) == 0
    quiet = ["record.report=false", "evaluation.within=0"]
    study(load_config("evil.yaml", quiet), Path("studied"), (0,), HereEngine(), references=())
    for page in ("both.html", "analysis.html", "studied/study.html"):
        harmless(folder / page)


def test_a_report_holds_pictures_of_the_run_alone(folder: Path) -> None:
    (folder / "secret.png").write_bytes(b"secret")
    assert main(["run", "study.yaml", "--out", "run"]) == 0
    log = EventLog(folder / "run/events.jsonl")
    for path in ("../secret.png", str(folder / "secret.png")):
        log.on(12, FramesDrawn("blobs 1", path, 0.0))
    log.close()
    write_report(folder / "run", folder / "report.html")
    assert "c2VjcmV0" not in (folder / "report.html").read_text()


# No secret is written.


@pytest.mark.usefixtures("quiet_wandb")
def test_no_secret_of_the_environment_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "canary" * 6 + "0123"
    for name in ("WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "REDIS_URL", "HF_TOKEN"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["run", "study.yaml", "--out", "run", "record.wandb=offline"]) == 0
    assert main(["analyse", "run"]) == 0
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"config.yaml", "events.jsonl", "operations.jsonl", "report.html"} <= {file.name for file in files}
    assert any(file.suffix == ".wandb" for file in files)
    assert [file for file in files if secret.encode() in file.read_bytes()] == []


# A run writes in its own folder.


def there(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if "__pycache__" not in file.parts}


@pytest.mark.parametrize("name", OUTSIDE[:2])
def test_no_name_leads_out_of_the_folder_of_a_run(folder: Path, tmp_path: Path, name: str) -> None:
    before = there(tmp_path)
    out = folder / "runs" / "one"
    assert main(["run", "study.yaml", f"stream.title={name}", "record.group=" + name, "--out", str(out)]) == 0
    mine = {"deep/down/runs"} | {f"deep/down/runs/one/{path}" for path in there(out)} | {"deep/down/runs/one"}
    assert there(tmp_path) - before == mine
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_is_a_way(folder: Path, tmp_path: Path, name: str) -> None:
    assert re.fullmatch(r"[\w.-]+\.png", picture_name(name))
    planned = load_config("study.yaml").changed({"agents": {name: "finetune"}})
    (cell,) = plan_study(planned, folder / "study", [0], references=()).cells()
    assert cell.path.resolve().is_relative_to(folder / "study")
    assert cell.path.resolve().parent.parent == folder / "study"


def test_what_is_put_away_lies_in_the_archive(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "archive")
    for name in OUTSIDE:
        shelf.put({name: torch.ones(1)})
    assert {path.parent for path in tmp_path.rglob("*.pt")} == {tmp_path / "archive"}
