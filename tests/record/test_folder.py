"""A run's folder, its summary and its scores."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lifelong.evaluation.summary import summarize
from lifelong.events import Event, TaskScored
from lifelong.record.folder import RunFolder
from lifelong.record.scores import ScoresCsv

MakeRun = Callable[..., list[tuple[int, Event]]]


def test_a_new_folder_is_made_and_a_run_is_never_written_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "one").create()
    assert folder.checkpoints.is_dir()
    assert RunFolder(folder.path).create() == folder
    folder.events.write_text("")
    with pytest.raises(FileExistsError, match="already holds a run"):
        RunFolder(folder.path).create()


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("")
    with pytest.raises(FileExistsError, match="is a file"):
        RunFolder(tmp_path / "one").create()


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no events"):
        RunFolder(tmp_path).require()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        RunFolder(tmp_path / "none").require()
    (tmp_path / "events.jsonl").write_text("")
    assert RunFolder(tmp_path).require().path == tmp_path


def test_a_summary_comes_back_equal_also_with_infinite_numbers(tmp_path: Path, make_run: MakeRun) -> None:
    folder = RunFolder(tmp_path)
    summary = summarize(make_run(), 61.5, {"torch": "2"})
    for kept in (summary, replace(summary, acc=float("-inf"), parameters=None, versions={})):
        folder.write_summary(kept)
        assert folder.read_summary() == kept


def test_a_file_that_is_no_summary_is_told(tmp_path: Path) -> None:
    for text in ("{}", "[1]", "{", '{"agent": 3}'):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(ValueError, match="is no summary"):
            RunFolder(tmp_path).read_summary()


def test_scores_hold_every_judging_and_go_on_after_a_resume(tmp_path: Path, make_run: MakeRun) -> None:
    records = make_run()
    judged = [(step, event) for step, event in records if isinstance(event, TaskScored)]
    sheet = ScoresCsv(tmp_path / "scores.csv")
    for step, event in records[: len(records) // 2]:
        sheet.on(step, event)
    sheet.close()
    again = ScoresCsv(tmp_path / "scores.csv")
    for step, event in records:
        again.on(step, event)
    again.close()
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(r["step"]), r["task"], float(r["score"]), r["seen"] == "1") for r in rows] == [
        (step, event.task, event.score, event.seen) for step, event in judged
    ]
