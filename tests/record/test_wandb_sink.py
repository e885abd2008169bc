"""What a run would upload to Weights & Biases, read back from the log that it writes offline."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from lifelong.evaluation.matrix import acc, bwt, matrix_of
from lifelong.evaluation.trace import trace_of
from lifelong.events import Event, Learned, RunFinished, TaskScored
from lifelong.record import wandb_run
from lifelong.record.wandb_sink import WandbSink

Records = list[tuple[int, Event]]
MakeRun = Callable[..., Records]


@pytest.fixture(autouse=True)
def _quiet_and_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("WANDB_SILENT", "WANDB_DISABLE_GIT", "WANDB_X_DISABLE_STATS", "WANDB_DISABLE_CODE"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("WANDB_CONSOLE", "off")
    yield
    wandb.teardown()


def logged(folder: Path) -> list[Any]:
    """All records of the one run in a folder: a LevelDB log with a header of 7 bytes, in blocks of 32 KiB."""
    # W&B's own process writes the last block some time after `finish`, at the latest when it is torn down.
    wandb.teardown()
    record_type: Any = getattr(wandb_internal_pb2, "Record")  # noqa: B009 (made at run time, unknown to type checkers)
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    data, at, whole = path.read_bytes(), 7, b""
    records: list[Any] = []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            records.append(record_type.FromString(whole))
            whole = b""
    return records


def items(pairs: Any) -> dict[str, Any]:
    return {(pair.key or ".".join(pair.nested_key)): json.loads(pair.value_json) for pair in pairs}


def history(records: list[Any]) -> list[dict[str, Any]]:
    rows = [items(record.history.item) for record in records if record.HasField("history")]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]


def table(folder: Path, name: str) -> dict[str, Any]:
    (path,) = folder.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def log(folder: Path, records: Records, close: bool = True) -> WandbSink:
    folder.mkdir(exist_ok=True)
    config = {"seed": 7, "stream": {"name": "made-up"}}
    sink = WandbSink(folder, "offline", "proj", "pair", ("x", "y"), "one", config)
    for step, event in records:
        sink.on(step, event)
    if close:
        sink.close()
    return sink


def test_a_whole_run_is_in_the_log_with_every_number_on_the_stream_step_axis(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run()
    log(tmp_path / "run", run)
    records = logged(tmp_path / "run")
    rows = history(records)

    (opened,) = [record.run for record in records if record.HasField("run")]
    assert (opened.project, opened.run_group, opened.display_name) == ("proj", "pair", "one")
    assert set(opened.tags) == {"x", "y"}
    assert items(opened.config.update)["stream"] == {"name": "made-up"}

    blocks = [(step, event) for step, event in run if isinstance(event, Learned)]
    trained = [row for row in rows if "train/loss" in row]
    assert [(row["stream_step"], row["expert"]) for row in trained] == [(s, b.expert) for s, b in blocks]
    assert set(trained[0]) == {"stream_step", "train/loss", "train/score", "shift/statistic", "expert"}
    assert trained[5]["train/loss"] == pytest.approx(sum(blocks[5][1].losses) / len(blocks[5][1].losses))
    assert trained[5]["shift/statistic"] == max(blocks[5][1].statistics)

    steps = sorted({step for step, event in run if isinstance(event, TaskScored)})
    judged = [row for row in rows if "task/digits/score" in row]
    assert [row["stream_step"] for row in judged] == steps
    assert all(sum(name.startswith("task/") for name in row) == 4 for row in judged)

    matrix = matrix_of(trace_of(run))
    ends = [row for row in judged if "cl/acc" in row]
    assert [row["stream_step"] for row in ends] == [400, 800, 1200, 1600, 2000]
    assert "cl/bwt" not in ends[0]
    assert ends[-1]["cl/acc"] == pytest.approx(acc(matrix))
    assert ends[-1]["cl/bwt"] == pytest.approx(bwt(matrix))

    marks = [(row["stream_step"], name) for row in rows for name in row if name.startswith("mark/")]
    assert marks.count((403, "mark/shift")) == 1
    assert [step for step, name in marks if name == "mark/spawn"] == [0, 403, 803, 1603]
    assert [step for step, name in marks if name == "mark/dismissed"] == [1360]
    assert [step for step, name in marks if name == "mark/again"] == [1203]

    axes = {record.metric.glob_name or record.metric.name: record.metric.step_metric for record in records}
    assert {axes[name] for name in ("train/*", "task/*", "cl/*", "shift/*", "mark/*", "expert")} == {"stream_step"}


def test_tables_picture_and_summary_are_those_of_the_run(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run()
    log(tmp_path / "run", run)
    matrix = matrix_of(trace_of(run))
    cells = table(tmp_path / "run", "cl/matrix")
    assert cells["columns"] == ["after_segment", "after_task", "on_task", "score"]
    assert len(cells["data"]) == matrix.scores.size
    assert cells["data"][5] == [1, "digits", "letters & <marks>", pytest.approx(matrix.scores[1, 1])]
    marks = table(tmp_path / "run", "marks")
    assert [403, "shift", 0, "began at step 400"] in marks["data"]
    (picture,) = (tmp_path / "run").glob("wandb/offline-run-*/files/media/images/cl/heatmap_*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    records = logged(tmp_path / "run")
    summary: dict[str, Any] = {}
    for record in records:
        summary |= items(record.summary.update)
    assert summary["acc"] == pytest.approx(acc(matrix))
    assert (summary["experts"], summary["parameters"], summary["agent"]) == (4, 358_440, "flagship")
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]


def test_nothing_is_written_outside_the_run_folder(tmp_path: Path, make_run: MakeRun) -> None:
    log(tmp_path / "run", make_run())
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"wandb"}
    home = tmp_path / "home"
    assert not [path for path in home.rglob("*") if "wandb" in str(path.relative_to(home))]


def test_an_interrupted_run_logs_what_there_is_and_is_marked_as_failed(tmp_path: Path, make_run: MakeRun) -> None:
    cut = [record for record in make_run() if record[0] <= 880]
    assert not any(isinstance(event, RunFinished) for _, event in cut)
    log(tmp_path / "run", cut)
    records = logged(tmp_path / "run")
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [1]
    assert len(table(tmp_path / "run", "cl/matrix")["data"]) == 3 * 4


def test_a_resumed_run_logs_its_record_first(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run()
    log(tmp_path / "whole", run)
    (tmp_path / "resumed").mkdir()
    half = len(run) // 2
    sink = WandbSink(tmp_path / "resumed", "offline", before=run[:half])
    for step, event in run[half:]:
        sink.on(step, event)
    sink.close()
    rows = [history(logged(tmp_path / folder)) for folder in ("whole", "resumed")]
    assert rows[0][:-1] == rows[1][:-1]


def test_a_run_that_the_user_started_is_joined_and_left_open(tmp_path: Path, make_run: MakeRun) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = wandb.init(mode="offline", dir=tmp_path / "theirs", project="theirs")
    log(tmp_path / "ours", make_run())
    theirs.log({"still": 1})
    theirs.finish()
    records = logged(tmp_path / "theirs")
    assert not (tmp_path / "ours" / "wandb").exists()
    assert {"still": 1} in history(records)
    assert any("cl/acc" in row for row in history(records))
    config: dict[str, Any] = {}
    for record in records:
        config |= items(record.config.update)
    assert config["seed"] == 7


def test_without_a_key_online_goes_on_offline_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    WandbSink(tmp_path, "online").close()
    assert "no API key" in capsys.readouterr().err
    assert logged(tmp_path)


def test_auto_is_offline_without_a_key_and_online_with_one_unless_the_server_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    init = wandb.init

    def away(**settings: Any) -> Any:
        asked.append(settings["mode"])
        if settings["mode"] == "online":
            raise wandb.errors.CommError("the server is away\nand more")
        return init(**settings)

    monkeypatch.setattr(wandb, "init", away)
    WandbSink(tmp_path).close()
    assert asked == ["offline"]
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine api.wandb.ai\n  login user\n  password " + "a" * 40 + "\n")
    WandbSink(tmp_path / "home").close()
    assert asked == ["offline", "online", "offline"]
    told = capsys.readouterr().err
    assert "the server is away" in told
    assert "and more" not in told
    monkeypatch.setenv("WANDB_MODE", "offline")
    WandbSink(tmp_path / "home").close()
    assert asked[3:] == ["offline"]


def test_a_key_in_the_environment_or_netrc_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wandb_run._has_key()
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine wandb.example.org\n  login user\n  password abc\n")
    assert not wandb_run._has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8443/")
    assert wandb_run._has_key()
    monkeypatch.delenv("NETRC")
    assert not wandb_run._has_key()
    monkeypatch.setenv("WANDB_API_KEY", "abc")
    assert wandb_run._has_key()


def test_disabled_writes_nothing(tmp_path: Path, make_run: MakeRun) -> None:
    (tmp_path / "run").mkdir()
    sink = WandbSink(tmp_path / "run", "disabled")
    for step, event in make_run():
        sink.on(step, event)
    sink.close()
    assert list((tmp_path / "run").iterdir()) == []
