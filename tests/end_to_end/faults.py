"""A folder in which somebody is about to do something wrong, and what it takes to be refused well."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.cli import main

STUDY = """\
stream:
  name: permuted
  data: digits
  timetable: {order: A B, epochs: 1, batch_size: 64, samples: 128}
agent: {name: finetune, network: {name: mlp, hidden: [8]}}
evaluation: {within: 0}
record: {wandb: disabled, console: false, report: false}
"""
WORLDS = """\
stream:
  name: worlds
  worlds: [{task: up, env: Pendulum-v1}]
  timetable: {steps: 64, lanes: 2, experience: 32}
  episodes: 1
agent: {name: finetune_rl, algorithm: ppo}
record: {wandb: disabled, console: false, report: false, frames: false}
"""


def prepared(folder: Path) -> Path:
    """The folder, with two studies in it."""
    (folder / "study.yaml").write_text(STUDY)
    (folder / "worlds.yaml").write_text(WORLDS)
    return folder


def there(folder: Path) -> dict[str, bytes]:
    """All files but the lock, and those that say what a machine went through: a refusal to go on is noted there."""
    passing = {"__pycache__", "operations.jsonl", ".lock"}
    files = [file for file in folder.rglob("*") if file.is_file() and not passing & set(file.parts)]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def refused(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said on stderr, by a command that refuses and leaves everything as it was."""
    before = there(folder)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("lifelong: ")
    assert "Traceback" not in said
    assert there(folder) == before
    return said
