"""A record in parts is read, checked and cut as if it were one file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lifelong.events import Event
from lifelong.record.folder import RunFolder
from lifelong.record.jsonl import Cursor, EventLog, begins_with, read_events, truncate_to
from lifelong.record.parts import cut, parts_of

MakeRun = Callable[..., list[tuple[int, Event]]]
PART = 6_000


def written(path: Path, records: list[tuple[int, Event]], part: int = PART) -> list[Cursor]:
    """Where the record stood after each event."""
    log = EventLog(path, part)
    marks = [log.mark()]
    for step, event in records:
        log.on(step, event)
        marks.append(log.mark())
    log.close()
    return marks


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_parts_are_one_record(tmp_path: Path, make_run: MakeRun) -> None:
    records = make_run()
    one, many = tmp_path / "one" / "events.jsonl", tmp_path / "many" / "events.jsonl"
    for path in (one, many):
        path.parent.mkdir()
    marks = written(one, records, 1 << 30)
    assert written(many, records) == marks
    parts = parts_of(many)
    assert len(parts) > 3
    assert [part.name for part in parts[:2]] == ["events-000001.jsonl", "events-000002.jsonl"]
    assert b"".join(part.read_bytes() for part in parts) == one.read_bytes()
    assert read_events(many) == read_events(one) == records
    assert all(part.stat().st_size >= PART for part in parts[:-1])


def test_a_record_that_is_cut_anywhere_and_goes_on_is_the_same(tmp_path: Path, make_run: MakeRun) -> None:
    records = make_run()
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    whole.mkdir()
    marks = written(whole / "events.jsonl", records)
    for count, mark in list(enumerate(marks))[::5]:
        shutil.copytree(whole, torn)
        assert begins_with(torn / "events.jsonl", mark)
        truncate_to(torn / "events.jsonl", mark)
        assert read_events(torn / "events.jsonl") == records[:count]
        written(torn / "events.jsonl", records[count:])
        assert contents(torn) == contents(whole)
        shutil.rmtree(torn)


@pytest.mark.parametrize("at", [0, 1, 3, 6])
def test_a_cut_that_was_interrupted_is_done_again(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path = tmp_path / "events.jsonl"
    marks = written(path, make_run())
    mark = marks[4]
    done = iter(range(100))
    unlink = Path.unlink

    def interrupted(self: Path, missing_ok: bool = False) -> None:
        if next(done) == at:
            raise KeyboardInterrupt
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", interrupted)
    try:
        cut(path, mark.bytes)
    except KeyboardInterrupt:
        assert begins_with(path, mark)
        cut(path, mark.bytes)
    assert read_events(path) == make_run()[:4]


def test_a_run_whose_newest_part_was_closed_as_the_power_failed_is_a_run(tmp_path: Path, make_run: MakeRun) -> None:
    marks = written(tmp_path / "events.jsonl", make_run())
    (tmp_path / "events.jsonl").unlink()
    folder = RunFolder(tmp_path)
    assert folder.require().holds_run()
    inside = [mark for mark in marks if begins_with(folder.events, mark)]
    truncate_to(folder.events, inside[-1])
    assert folder.events.read_bytes() == b""
    assert read_events(folder.events) == make_run()[: len(inside) - 1]


def test_a_part_that_is_missing_or_damaged_is_told(tmp_path: Path, make_run: MakeRun) -> None:
    marks = written(tmp_path / "events.jsonl", make_run())
    second = tmp_path / "events-000002.jsonl"
    kept = second.read_bytes()
    second.write_bytes(b"{}\n" + kept[3:])
    with pytest.raises(ValueError, match=r"events-000002\.jsonl, line 1 is not an event"):
        read_events(tmp_path / "events.jsonl")
    second.unlink()
    with pytest.raises(ValueError, match=r"up to \d+, but not events-000002\.jsonl: put it back"):
        read_events(tmp_path / "events.jsonl")
    assert not begins_with(tmp_path / "events.jsonl", marks[-1])
