"""Files that grow, standard input: every line comes once, in order, and from any position on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lifelong.source import Message, SourceLost
from lifelong_envs.live.jsonl import Jsonl

# Benchmarks are no part of what is packed with the tests.
rig = pytest.importorskip("benchmarks.live_rig")
said = rig.said


def all_of(source: Jsonl, limit: int = 7, rest: int = 10_000) -> list[Message]:
    found: list[Message] = []
    while len(found) < rest and (got := source.take(limit, 0.01)):
        found += got
    return found


def texts(found: list[Message]) -> list[str]:
    return [message.text for message in found]


def test_a_file_is_read_to_its_end_and_from_any_position_on(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [said(number, note="ä" * number) for number in range(50)]
    path.write_text("\n".join([*lines[:20], "", "  ", *lines[20:]]), encoding="utf-8")
    source = Jsonl(str(path), follow=False)
    source.begin(None)
    found = all_of(source)
    assert texts(found) == lines
    assert source.take(7, 0.01) is None
    for place in (0, 1, 19, 20, 48, 49):
        source.begin(found[place].position)
        assert texts(all_of(source)) == lines[place + 1 :]


def test_lines_that_are_written_in_pieces_come_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [said(number) for number in range(40)]
    data = "".join(line + "\n" for line in lines).encode()

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for first in range(0, len(data), 17):
                file.write(data[first : first + 17])
                time.sleep(0.0005)

    # It need not be there yet.
    source = Jsonl(str(path))
    with pytest.warns(UserWarning, match="waiting for it"):
        source.begin(None)
    assert source.take(5, 0.01) == []
    writer = threading.Thread(target=write)
    writer.start()
    found: list[Message] = []
    while len(found) < 40:
        found += source.take(5, 0.5) or []
    writer.join()
    assert texts(found) == lines
    assert source.take(5, 0.01) == []


def test_a_file_that_makes_room_for_a_new_one_is_read_to_its_end_first(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("1\n2\n")
    source = Jsonl(str(path))
    source.begin(None)
    assert texts(all_of(source, rest=1, limit=1)) == ["1"]
    with path.open("a") as file:
        file.write("3\n")
    path.rename(tmp_path / "in.jsonl.1")
    with (tmp_path / "in.jsonl.1").open("a") as file:
        file.write("4\n")
    path.write_text("5\n6\n")
    found = all_of(source)
    assert texts(found) == ["2", "3", "4", "5", "6"]
    again = Jsonl(str(path))
    again.begin(found[3].position)
    assert texts(all_of(again)) == ["6"]
    # A position in the old file is looked for in the old one, under its new name.
    again.begin(found[0].position)
    assert texts(all_of(again)) == ["3", "4", "5", "6"]
    (tmp_path / "in.jsonl.1").unlink()
    with pytest.raises(ValueError, match="is another file than it was, and so are those with a number"):
        again.begin(found[0].position)


def test_files_that_are_not_what_they_were_are_told(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    with pytest.raises(FileNotFoundError, match=r"no file .*in\.jsonl to read messages from"):
        Jsonl(str(path), follow=False).begin(None)
    with pytest.raises(FileNotFoundError, match="no file"):
        Jsonl(str(tmp_path)).begin(None)
    path.write_text("1\n2\n3\n")
    source = Jsonl(str(path))
    source.begin(None)
    position = all_of(source)[1].position
    path.write_text("1\n7\n3\n")
    with pytest.raises(ValueError, match="does not end at byte 4"):
        Jsonl(str(path)).begin(position)
    source.begin(None)
    all_of(source)
    os.truncate(path, 2)
    with pytest.raises(SourceLost, match="was cut or written anew while it was read"):
        source.take(1, 0.01)
    path.write_text("1\n2\n3\n")
    source.begin(None)
    all_of(source)
    # Longer than before when it is looked at next, as after `copytruncate`.
    path.write_text("4\n5\n6\n7\n8\n")
    with pytest.raises(SourceLost, match="not copytruncate"):
        source.take(1, 0.01)


def test_files_that_came_and_went_between_two_looks_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("1\n")
    source = Jsonl(str(path))
    source.begin(None)
    first = all_of(source)
    for number in (2, 3, 4):
        # As logrotate does: each moves on by one.
        for old in (3, 2, 1):
            if (tmp_path / f"in.jsonl.{old}").exists():
                (tmp_path / f"in.jsonl.{old}").rename(tmp_path / f"in.jsonl.{old + 1}")
        path.rename(tmp_path / "in.jsonl.1")
        time.sleep(0.01)
        path.write_text(f"{number}\n")
    (tmp_path / "in.jsonl.bak").write_text("not of these\n")
    assert texts(all_of(source)) == ["2", "3", "4"]
    source.begin(first[0].position)
    assert texts(all_of(source)) == ["2", "3", "4"]


def test_a_file_that_is_not_there_yet_is_said(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="yet: waiting for it"):
        Jsonl(str(tmp_path / "none.jsonl")).begin(None)


def test_a_mark_before_the_first_line_and_ends_of_lines_of_others_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf1\r\n2\r\n3")
    source = Jsonl(str(path), follow=False)
    source.begin(None)
    assert texts(all_of(source)) == ["1", "2", "3"]


def test_a_line_of_any_length_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifelong_envs.live.jsonl.LINE", 1_000)
    monkeypatch.setattr("lifelong_envs.live.jsonl.READ", 100)
    path = tmp_path / "in.jsonl"
    path.write_text("1\n" + "x" * 50_000 + "\n2\n")
    source = Jsonl(str(path), follow=False)
    source.begin(None)
    first = all_of(source)
    assert len(first) == 3
    assert 1_000 <= len(first[1].text) <= 1_100
    assert first[2].position.startswith(f"{2 + 50_001 + 2} ")
    source.begin(first[1].position)
    assert texts(all_of(source)) == ["2"]


TEACH = """
import sys
from benchmarks.live_rig import Counting
from lifelong import run
from lifelong_envs.live.jsonl import Stdin
from lifelong_envs.live.stream import live
learner = Counting()
run(live(Stdin(), (2,), 3, batch_size=4), learner, out=sys.argv[1], resume=len(sys.argv) > 2, report=False)
print(learner.learned)
"""


def test_standard_input_is_learned_as_it_comes_and_what_is_sent_again_is_not_learned_twice(tmp_path: Path) -> None:
    place = str(Path(__file__).resolve().parents[2])
    env = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, place]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", TEACH, str(tmp_path / "run")]
    lines = [said(number) for number in range(30)]
    told = "".join(line + "\n" for line in [*lines[:20], *lines[10:]]).encode()
    found = subprocess.run(command, input=told, env=env, capture_output=True, timeout=60, check=False)
    assert json.loads(found.stdout) == list(range(30)), found.stderr.decode()
