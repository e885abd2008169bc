"""A configuration on disk, written anew for each test."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from toy_study import MINIMAL, Load

from lifelong.config import Resolved, load_config


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Write a text to study.yaml in the current folder and load it, with overrides."""
    monkeypatch.chdir(tmp_path)

    def loaded(text: str = MINIMAL, *overrides: str) -> Resolved:
        Path("study.yaml").write_text(dedent(text), encoding="utf-8")
        return load_config("study.yaml", overrides)

    return loaded
