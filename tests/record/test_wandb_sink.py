"""What a run would upload to Weights & Biases, read back from the log that it writes offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb_log import artifacts, config_of, history, items, logged, run_of, summary_of, table

from lifelong.evaluation.matrix import acc, bwt, matrix_of
from lifelong.evaluation.trace import trace_of
from lifelong.events import Event, Learned, RunFinished, TaskScored
from lifelong.record import wandb_run
from lifelong.record.folder import RunFolder
from lifelong.record.journal import Journal
from lifelong.record.jsonl import EventLog, read_events
from lifelong.record.memory import Memory
from lifelong.record.wandb_sink import WandbSink

Records = list[tuple[int, Event]]
MakeRun = Callable[..., Records]


pytestmark = pytest.mark.usefixtures("quiet_wandb")


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

    opened = run_of(records)
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
    kept = {record.metric.glob_name or record.metric.name: record.metric.summary for record in records}
    assert (kept["cl/acc"].last, kept["cl/acc"].max, kept["cl/acc"].min) == (True, True, False)
    assert (kept["cl/forgetting"].min, kept["cl/forgetting"].max) == (True, False)
    assert (kept["train/loss"].min, kept["task/*"].max, kept["mark/*"].none) == (True, True, True)

    seen = [event.score for step, event in run if isinstance(event, TaskScored) and step == 880 and event.seen]
    (look,) = [row for row in judged if row["stream_step"] == 880]
    assert look["cl/mean_seen"] == pytest.approx(sum(seen) / len(seen))
    assert ends[-1]["cl/mean_seen"] == pytest.approx(acc(matrix))


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
    summary = summary_of(records)
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


def test_attempts_at_a_run_are_one_run_offline(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run()
    (tmp_path / "whole").mkdir()
    log(tmp_path / "whole", run)
    (tmp_path / "torn").mkdir()
    ids = []
    for cut in (len(run) // 3, len(run) // 2, len(run)):
        # What a resumed run is handed first is its record so far.
        log(tmp_path / "torn", run[:cut])
        (place,) = (tmp_path / "torn" / "wandb").glob("offline-run-*")
        ids.append(place.name.rpartition("-")[2])
    assert len(set(ids)) == 1
    one, other = (history(logged(tmp_path / name)) for name in ("whole", "torn"))
    assert one[:-1] == other[:-1]


@pytest.mark.parametrize("reached", ["all", "some", "none"])
def test_attempts_at_a_run_are_one_run_online(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, reached: str
) -> None:
    """With a server that keeps rows by the id of their run, as W&B's does, and loses the last ones of a killed run."""
    rows: dict[str, list[dict[str, Any]]] = {}

    class Run:
        def __init__(self, id: str, resume: str | None) -> None:
            self.id, self.resumed = id, id in rows
            assert resume == "allow" or not self.resumed
            self._rows = rows.setdefault(id, [])
            self.step, self.summary = len(self._rows), dict[str, Any]()

        def log(self, row: dict[str, Any]) -> None:
            self._rows.append({name: value for name, value in row.items() if isinstance(value, (int, float))})

        def define_metric(self, *_: Any, **__: Any) -> None: ...

        def finish(self, exit_code: int) -> None: ...

    monkeypatch.setattr(wandb, "init", lambda **settings: Run(settings["id"], settings["resume"]))
    monkeypatch.setattr(wandb_run, "_has_key", lambda: True)
    records = make_run()

    def attempt(folder: str, events: list[Any], ends: bool = True) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        sink = WandbSink(tmp_path / folder, "online", artifacts="none")
        for step, event in events:
            sink.on(step, event)
        if ends:
            sink.close()
        return sink._run.id

    whole = rows[attempt("whole", records)]
    assert len(whole) > 20
    # A run stops after an experience, and never in the middle of a judging.
    steps = [step for step, _ in records]
    pauses = [place for place in range(1, len(steps)) if steps[place] > steps[place - 1]]
    attempt("torn", records[: pauses[2]])
    killed = attempt("torn", records[: pauses[len(pauses) // 2]], ends=False)
    if reached == "some":
        del rows[killed][-3:]
    elif reached == "none":
        del rows[killed][:]
        rows.pop(killed)
    assert attempt("torn", records) == killed
    # The first attempt said how it ended, as an interrupted run does; nothing else is there twice, or missing.
    found = [row for row in rows[killed] if row.keys() != {"stream_step"}]
    assert found == [row for row in whole if row.keys() != {"stream_step"}]


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
    assert config_of(records)["seed"] == 7


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


def in_a_folder(path: Path, run: Records) -> RunFolder:
    """The folder of a run that is over, with the files that matter here."""
    folder = RunFolder(path).create()
    log = EventLog(folder.events)
    for step, event in run:
        log.on(step, event)
    log.close()
    folder.config.write_text("seed: 7\n")
    folder.report.write_text("<html>")
    for step in (400, 2000):
        (folder.checkpoints / f"step-{step:012d}.pt").write_bytes(b"weights" * step)
    return folder


def manifest(artifact: Any) -> dict[str, str]:
    return {entry.path: entry.local_path for entry in artifact.manifest.contents}


def test_a_finished_run_leaves_its_files_with_the_alias_final(tmp_path: Path, make_run: MakeRun) -> None:
    folder = in_a_folder(tmp_path / "run", make_run())
    log(folder.path, make_run())
    found = artifacts(logged(folder.path))
    assert {name: (a.type, set(a.aliases)) for name, a in found.items() if a.type in ("run", "model")} == {
        "run-pair-one": ("run", {"final", "latest"}),
        "model-pair-one": ("model", {"final", "latest"}),
    }
    assert set(manifest(found["run-pair-one"])) == {"config.yaml", "events.jsonl", "report.html"}
    newest = folder.checkpoints / "step-000000002000.pt"
    # Read where it lies: nothing as large as a model is copied.
    assert manifest(found["model-pair-one"]) == {newest.name: str(newest)}
    copies = [
        path for path in folder.wandb.rglob("*") if path.is_file() and path.stat().st_size == len(b"weights") * 2000
    ]
    assert copies == []


@pytest.mark.parametrize(("which", "expected"), [("record", {"run-one"}), ("none", set())])
def test_files_can_be_left_out(tmp_path: Path, make_run: MakeRun, which: Any, expected: set[str]) -> None:
    folder = in_a_folder(tmp_path / "run", make_run())
    WandbSink(folder.path, "offline", name="one", before=make_run(), artifacts=which).close()
    found = artifacts(logged(folder.path))
    assert {name for name, a in found.items() if a.type in ("run", "model")} == expected


def test_the_files_of_a_stopped_run_are_not_called_final(tmp_path: Path, make_run: MakeRun) -> None:
    cut = [record for record in make_run() if record[0] <= 880]
    folder = in_a_folder(tmp_path / "run", cut)
    log(folder.path, cut)
    assert set(artifacts(logged(folder.path))["run-pair-one"].aliases) == {"interrupted", "latest"}


@pytest.mark.parametrize("breaks", ["log", "finish"])
def test_wandb_that_fails_in_the_middle_leaves_the_record_whole_and_says_so_once(
    tmp_path: Path, make_run: MakeRun, breaks: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    folder = RunFolder(tmp_path / "run").create()
    sink = WandbSink(folder.path, "offline")
    calls = []

    def gone(*arguments: Any, **settings: Any) -> None:
        calls.append(arguments)
        if breaks == "finish" or len(calls) > 20:
            raise OSError("the network is away")

    monkeypatch.setattr(sink._run, breaks, gone)
    memory = Memory()
    journal = Journal([EventLog(folder.events), memory, sink])
    for step, event in run:
        journal.note(step, event)
    journal.close()
    assert read_events(folder.events) == run
    assert list(memory.events) == run
    assert len(calls) == (1 if breaks == "finish" else 21)
    told = capsys.readouterr().err
    assert told.count("the network is away") == 1
    assert f"lifelong wandb {folder.path}" in told
    # What cannot be finished is not joined by the next run.
    assert not wandb_run.is_open()
    (tmp_path / "next").mkdir()
    log(tmp_path / "next", run)
    assert history(logged(tmp_path / "next"))
