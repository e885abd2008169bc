"""What the page on worlds to act in promises: each piece of its Python stands alone, and its links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs/rl.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def run(block: str) -> str:
        exec(block, {"__name__": "page"})
        return capsys.readouterr().out

    yield run
    # Modules of an example may be another's by name.
    for name in set(sys.modules) - before:
        if str(ROOT / "examples") in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_an_environment_without_a_file_is_learned_in_both_its_worlds(printed: Any) -> None:
    experts, right, left = re.fullmatch(r"(\d+) \[ *([\d.-]+) +([\d.-]+)\]\n", printed(BLOCKS[0])).groups()  # type: ignore[union-attr]
    assert experts == "2"
    # Ten steps, each of which pays 1 or -1; at random 0.
    assert min(float(right), float(left)) >= 6


def test_a_policy_of_ones_own_keeps_the_laws(printed: Any) -> None:
    assert printed(BLOCKS[1]) == ""
    assert len(BLOCKS) == 2


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))))
def test_links_lead_to_files(target: str) -> None:
    assert (ROOT / "docs" / target).exists()


def test_every_example_is_listed() -> None:
    listed = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    folders = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name[0] not in "._")
    assert [name for name in folders if f"| `{name}` |" not in listed] == []
