"""A run that begins in a folder: what is left of it where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.events import TaskEntered
from lifelong.record.folder import RunFolder
from lifelong.record.jsonl import line_of


def fails(path: Path, *steps: int, inside: str = "") -> None:
    with RunFolder(path).begun() as folder:
        where = folder.path / inside
        where.mkdir(exist_ok=True)
        lines = [line_of(step, TaskEntered("A", 0)) + "\n" for step in steps]
        (where / "events.jsonl").write_text("".join(lines), encoding="utf-8")
        folder.config.write_text("new")
        raise ValueError("no")


@pytest.mark.parametrize(("steps", "is_left"), [((), False), ((0,), False), ((0, 1), True)])
@pytest.mark.parametrize("inside", ["", "reference"])
def test_it_is_kept_where_an_experience_was_learned(
    tmp_path: Path, inside: str, steps: tuple[int, ...], is_left: bool
) -> None:
    with pytest.raises(ValueError, match="no"):
        fails(tmp_path / "run", *steps, inside=inside)
    assert (tmp_path / "run").exists() == is_left


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("old")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/events.jsonl").write_text("")
    with pytest.raises(ValueError, match="no"):
        fails(tmp_path, 0)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "other"}


def test_a_stop_by_hand_leaves_everything_to_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path / "run").begun():
        raise KeyboardInterrupt
    assert (tmp_path / "run/checkpoints").is_dir()
