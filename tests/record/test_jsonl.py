"""The record comes back as it was written, also after a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from lifelong.events import (
    Consolidated,
    DriftDetected,
    DriftFollowed,
    EpisodeFailed,
    Event,
    ExpertChosen,
    ExpertDissolved,
    ExpertFound,
    ExpertSpawned,
    FramesDrawn,
    LaneFailed,
    Learned,
    Logged,
    ParameterHeld,
    Refused,
    Restored,
    RolledBack,
    RunFinished,
    RunStarted,
    ShiftDetected,
    ShiftDismissed,
    ShiftSeen,
    Skipped,
    SubspaceGrown,
    TaskEntered,
    TaskFacts,
    TaskScored,
)
from lifelong.record.jsonl import EventLog, RecordLost, begins_with, line_of, read_events, truncate_to

Records = list[tuple[int, Event]]
INF = float("inf")
FACTS = TaskFacts('t\nü"', "r2", True, -INF, 1.0, 5)
WORLD = TaskFacts("w", "normalised_return", True, -INF, 1.0, 10, 9.5, 500.0)
ONE_OF_EACH: list[Event] = [
    RunStarted("s", "a", 1, "cpu", (FACTS,), ("t",), (0,), 9, 15.0, True),
    RunStarted("s", "a", 1, "cpu", (), (), (), 0),
    RunStarted("s", "a", 1, "cpu", (WORLD,), ("w",), (0,), 9, None, False, 256),
    TaskEntered("t", 0),
    Learned(2, 96, (0.1, INF, 2.5), (0.5, 1.0, 0.0), (0.0, 1e-7, 3.0)),
    ShiftDetected(0, 3, 16.5, 15.0),
    DriftDetected(0, 0.01, 0.3),
    DriftFollowed(0, 0.2, 0.15),
    ShiftDismissed(1, 3, 16.5, 15.0),
    ShiftSeen(1),
    RolledBack(1, 3),
    ExpertSpawned(1, 1000, None),
    ExpertSpawned(2, 1000, 0),
    ExpertChosen(1, 0.25),
    ExpertDissolved(2, 1),
    Consolidated(1, 1000),
    Consolidated(1, 1000, ("PackNet",)),
    SubspaceGrown(1, "layers.0", 3, 784, 0.97),
    ParameterHeld(0, "trunk.0.weight", (100, 784), "protected", "Gpm", 3.5, 784),
    TaskScored("t", 0.5, 0.5, 100, 1, True, False, ((0, 90), (1, 10)), 7),
    TaskScored("t", -INF, 0.5, 100, 1, True, False),
    TaskScored("w", 3.0, 0.5, 10, 1, True, False, cut=2),
    ExpertFound("w", 1, 0, 10, 3.2),
    Logged(1, {"train/loss": 0.1, "train/explained_variance": -INF}),
    FramesDrawn("w", "frames/w.png", -12.5),
    Skipped("inputs of 1 of 8 samples are not finite", 8),
    Restored(40),
    LaneFailed(3, "w", 57, "the reward is nan", 2),
    EpisodeFailed("w", 4, "it took too long", 3, True),
    Refused("17 4 ab", "no JSON", 3),
    RunFinished(3, 3000),
    RunFinished(3, 3000, 12000, 500, 2900),
]


def write(path: Path, events: list[Event]) -> None:
    log = EventLog(path)
    for step, event in enumerate(events):
        log.on(step, event)
    log.close()


def test_every_kind_of_event_comes_back_equal(tmp_path: Path) -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(get_args(Event))
    write(tmp_path / "events.jsonl", ONE_OF_EACH)
    assert read_events(tmp_path / "events.jsonl") == list(enumerate(ONE_OF_EACH))


def test_lines_are_strict_json_with_the_step_and_the_class(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    write(tmp_path / "events.jsonl", [*ONE_OF_EACH, Learned(0, 1, (float("nan"),), (0.0,), (0.0,))])
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert rows[5] == {
        "step": 5, "event": "ShiftDetected", "expert": 0, "delay": 3, "statistic": 16.5, "threshold": 15.0,
        "by": "loss",
    }  # fmt: skip
    assert rows[-1]["losses"] == ["nan"]
    (_, again) = read_events(tmp_path / "events.jsonl")[-1]
    assert isinstance(again, Learned)
    assert again.losses[0] != again.losses[0]


def test_a_line_is_on_the_disk_before_the_next_event(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.on(5, TaskEntered("t", 0))
    assert read_events(tmp_path / "events.jsonl") == [(5, TaskEntered("t", 0))]
    log.close()


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_is_passed_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "events.jsonl"
    write(path, [TaskEntered("t", 0), Learned(0, 9, (0.125,) * 9, (0.5,) * 9, (0.0,) * 9)])
    os.truncate(path, path.stat().st_size - cut)
    assert read_events(path) == [(0, TaskEntered("t", 0))]


def test_a_broken_line_in_the_middle_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    good = line_of(0, TaskEntered("t", 0))
    path.write_text(f"{good}\n{good[:-5]}\n{good}\n")
    with pytest.raises(ValueError, match="line 2 is not an event"):
        read_events(path)
    path.write_text(good.replace("TaskEntered", "TaskLeft") + "\n")
    with pytest.raises(ValueError, match=r"line 1 is not an event.*TaskLeft"):
        read_events(path)
    path.write_text(good.replace('"segment":0', '"segment":"zero"') + "\n")
    with pytest.raises(ValueError, match="zero"):
        read_events(path)


def test_truncating_keeps_all_up_to_the_checkpoint_and_a_resumed_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    kept: Records = [(1, TaskEntered("t", 0)), (2, TaskEntered("ü", 0))]
    lost: Records = [(2, TaskEntered("u", 1)), (3, TaskEntered("v", 1))]
    log = EventLog(path)
    for row in kept:
        log.on(*row)
    cursor = log.mark()
    for row in lost:
        log.on(*row)
    log.close()
    with path.open("a") as file:
        file.write('{"step": 4, "ev')
    truncate_to(path, cursor)
    assert read_events(path) == kept
    log = EventLog(path)
    assert log.mark() == cursor
    log.on(3, TaskEntered("w", 1))
    log.close()
    assert read_events(path) == [*kept, (3, TaskEntered("w", 1))]


def test_a_record_that_was_changed_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    for step in range(3):
        log.on(step, TaskEntered("task", step))
    cursor = log.mark()
    log.close()
    whole = path.read_bytes()
    for changed in (whole.replace(b"task", b"tusk", 1), whole[:-1], b""):
        path.write_bytes(changed)
        assert not begins_with(path, cursor)
        with pytest.raises(ValueError, match=rf"does not begin with the {len(whole)} bytes"):
            truncate_to(path, cursor)
        assert path.read_bytes() == changed
    path.unlink()
    assert not begins_with(path, cursor)


def test_a_whole_run_comes_back(tmp_path: Path, make_run: Callable[..., Records]) -> None:
    records = make_run()
    log = EventLog(tmp_path / "events.jsonl")
    for step, event in records:
        log.on(step, event)
    log.close()
    assert read_events(tmp_path / "events.jsonl") == records


def test_a_record_that_cannot_be_written_is_lost_loudly(tmp_path: Path) -> None:
    with pytest.raises(RecordLost, match="Cannot open"):
        EventLog(tmp_path / "nowhere" / "events.jsonl")
    log = EventLog(tmp_path / "events.jsonl")
    log.close()
    with pytest.raises(RecordLost, match="Cannot write TaskEntered"):
        log.on(0, TaskEntered("t", 0))


def test_what_is_no_text_is_recorded_too(tmp_path: Path) -> None:
    """Such as names of files and messages of strangers, which hold halves of characters."""
    log = EventLog(tmp_path / "events.jsonl")
    fact = Refused("7", "a \ud800 b \udcff", 1)
    log.on(1, fact)
    mark = log.mark()
    log.close()
    assert read_events(tmp_path / "events.jsonl") == [(1, fact)]
    assert begins_with(tmp_path / "events.jsonl", mark)
