"""What docs/analysis.md promises: its Python prints what it says, its configuration is one, its links lead to files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lifelong.config import load_config

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "analysis.md").read_text(encoding="utf-8")


def test_the_python_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out.split() == ["1.000", "True"]


def test_the_stream_with_a_probe_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    config = yaml.safe_load(block) | {"agent": "finetune"}
    config["stream"]["name"] = "lifelong_envs.probed:probed"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    stream = load_config(tmp_path / "study.yaml").build().stream
    assert [task.name for task in stream.tasks] == ["A", "B", "C", "G"]
    assert [segment.task for segment in stream.segments] == ["A", "B", "C"]


def test_links_lead_to_files() -> None:
    targets = re.findall(r"\]\((?!http)([^)]+)\)", TEXT)
    assert targets
    assert all((DOCS / target).exists() for target in targets)
