"""What the pages of the site promise: their files run as they stand, print what they say, and their commands exist."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from lifelong.cli import _parse
from lifelong.config import load_config
from lifelong.tuning.space import dimension

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = [DOCS / "index.md", DOCS / "metrics.md", *sorted((DOCS / "how-to").glob("*.md"))]
FENCE = re.compile(r'^```(\w*)(?: title="([\w.]+)")?\n(.*?)^```$', flags=re.DOTALL | re.MULTILINE)
Block = tuple[str, str, str]
"""Language, title and text of a fenced block."""


def blocks_of(page: Path) -> list[Block]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, whose modules are forgotten afterwards: other tests have some of the same names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def page_id(page: Path) -> str:
    return page.stem if page.parent == DOCS else f"how-to/{page.stem}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_run_as_they_stand(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = blocks_of(page)
    for _, title, text in blocks:
        if title:
            (folder / title).write_text(text, encoding="utf-8")
    for at, (language, title, text) in enumerate(blocks):
        if language == "yaml" and title:
            resolved = load_config(folder / title)
            # Building it makes the stream and the agents, of the page's own classes.
            resolved.build()
        elif language == "python" and not title:
            torch.manual_seed(0)
            capsys.readouterr()
            exec(compile(text, f"{page.name}, block {at}", "exec"), {"__name__": "page"})
            said, _, wanted = blocks[at + 1]
            assert said == "text", "Python on a page is followed by what it prints."
            assert capsys.readouterr().out == wanted


@pytest.mark.parametrize(
    "page",
    [
        p
        for p in PAGES
        if p.stem not in ("index", "faults", "lasting", "live", "metrics", "serving", "study", "tracking")
    ],
    ids=page_id,
)
def test_how_to_pages_have_a_whole_example(page: Path) -> None:
    kinds = {(language, bool(title)) for language, title, _ in blocks_of(page)}
    assert {("python", True), ("yaml", True), ("python", False), ("text", False)} <= kinds


@pytest.mark.parametrize(
    "page",
    [
        DOCS / "index.md",
        *(DOCS / f"how-to/{n}.md" for n in ("faults", "lasting", "live", "serving", "study", "tracking")),
    ],
    ids=page_id,
)
def test_commands_are_understood(page: Path) -> None:
    commands = [shlex.split(row, comments=True) for _, _, text in blocks_of(page) for row in text.splitlines()]
    commands = [words[1:] for words in commands if words[:1] == ["lifelong"]]
    assert commands
    for words in commands:
        # What is not understood ends in SystemExit.
        options = _parse(words)
        for setting in getattr(options, "space", []):
            dimension(setting)


def test_the_study_compares_what_the_page_lists_and_tunes_one_of_them(folder: Path) -> None:
    text = next(text for _, title, text in blocks_of(DOCS / "how-to/study.md") if title == "study.yaml")
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    agents = yaml.safe_load(text)["agents"]
    assert list(agents) == ["flagship", "shared", "ewc", "replay and lwf"]
    # What `lifelong tune --agent ewc` does with a setting that is found by its place in a list.
    ewc = ["agents={}", f"agent={yaml.safe_dump(agents['ewc'], default_flow_style=True)}"]
    tuned = load_config(folder / "study.yaml", [*ewc, "agent.retention.0.strength=77"]).as_dict()
    assert tuned["agent"]["retention"][0]["strength"] == 77
