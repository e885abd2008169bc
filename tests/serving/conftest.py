"""One run that all tests of a module look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from served_run import live


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody may change it."""
    return live(tmp_path_factory.mktemp("served") / "live")
