"""`lifelong wandb RUN`: a recorded run in W&B equals the same run logged live."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb_log import artifacts, config_of, history, logged, run_of, summary_of

from lifelong.cli import main

pytestmark = pytest.mark.usefixtures("quiet_wandb")
DIGITS = Path(__file__).resolve().parents[1] / "configs" / "digits.yaml"
SHORT = ["stream.timetable.order=A B", "stream.timetable.epochs=1", "evaluation.within=1", "record.console=false"]


def run(out: Path, *more: str) -> Path:
    assert main(["run", str(DIGITS), *SHORT, *more, "--out", str(out)]) == 0
    return out


@cache
def ran(out: Path) -> Path:
    return run(out / "run", "record.wandb=offline")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture
def live(quiet_wandb: None, place: Path) -> Path:
    """A run with its reference, logged offline while it ran. It is there to be read."""
    return ran(place)


def rows(records: list[Any]) -> list[dict[str, Any]]:
    """The history without the random ids under which W&B keeps tables: what is in them is told by their digests."""
    return [{k: v for k, v in row.items() if not k.endswith("artifact_path")} for row in history(records)]


def test_what_is_replayed_equals_what_was_logged_live(live: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(live, copy, ignore=shutil.ignore_patterns("wandb"))
    assert main(["wandb", str(copy), "--mode", "offline"]) == 0
    for part in (".", "reference"):
        one, two = (logged(folder / part) for folder in (live, copy))
        assert rows(one) == rows(two)
        assert rows(one)[-1]["cl/matrix.sha256"]
        assert len(rows(one)) > 5
        said = [{k: v for k, v in summary_of(it).items() if not k.endswith("artifact_path")} for it in (one, two)]
        # How long this process has been there.
        said = [{k: v for k, v in it.items() if not k.startswith("_")} for it in said]
        assert said[0] == said[1]
        assert summary_of(one)["wall_seconds"] > 0
        assert summary_of(one)["cpu_seconds"] > 0
        assert config_of(one) == config_of(two)
        assert config_of(one)["record"]["group"] == "digits"
        described = [(r.project, r.run_group, r.display_name, r.job_type) for r in (run_of(one), run_of(two))]
        assert described[0] == described[1]
        name, job = ("flagship-s0", "agent") if part == "." else ("finetune-s0", "reference")
        assert described[0] == ("lifelong", "digits", name, job)
        found = [
            {k: set(a.aliases) for k, a in artifacts(records).items() if a.type != "run_table"}
            for records in (one, two)
        ]
        assert found[0] == found[1]
        files = {entry.path for entry in artifacts(one)[f"run-digits-{name}"].manifest.contents}
        assert files == {"config.yaml", "events.jsonl", "report.html", "scores.csv", "summary.json"}


def test_a_run_and_its_reference_have_the_same_charts(live: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {name for row in history(logged(folder)) for name in row if name.startswith(("cl/", "task/", "train/"))}

    assert names(live) == names(live / "reference") >= {"cl/acc", "cl/mean_seen", "task/A/score", "train/loss"}


def test_a_run_that_was_recorded_without_wandb_and_was_killed(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "record.wandb=disabled", "reference=null")
    for name in ("summary.json", "report.html", "scores.csv"):
        (out / name).unlink()
    lines = (out / "events.jsonl").read_bytes().splitlines(keepends=True)
    (out / "events.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"step":3,"ev')
    assert main(["wandb", str(out), "--project", "p", "--group", "g", "--name", "mine", "--mode", "offline"]) == 0
    records = logged(out)
    opened = run_of(records)
    assert (opened.project, opened.run_group, opened.display_name) == ("p", "g", "mine")
    assert summary_of(records)["finished"] is False
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [1]
    assert set(artifacts(records)["run-g-mine"].aliases) == {"interrupted", "latest"}


def test_a_reference_that_is_given_by_its_own_folder(live: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(live, copy, ignore=shutil.ignore_patterns("wandb"))
    assert main(["wandb", str(copy / "reference"), "--mode", "offline"]) == 0
    assert run_of(logged(copy / "reference")).job_type == "reference"


def test_into_a_run_that_is_open_goes_the_agent_alone(tmp_path: Path) -> None:
    theirs = wandb.init(mode="offline", dir=tmp_path)
    with pytest.warns(UserWarning, match=r"finetune is logged nowhere.*lifelong wandb .*reference"):
        out = run(tmp_path / "run")
    theirs.finish()
    assert not (out / "wandb").exists()
    rows = history(logged(tmp_path))
    assert [row["stream_step"] for row in rows if "cl/acc" in row] == [45, 90]
    assert not (out / "reference" / "wandb").exists()


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wandb", str(tmp_path / "nothing")]) == 2
    assert "does not exist: give the folder of a recorded run" in capsys.readouterr().err
    (tmp_path / "events.jsonl").write_text("")
    assert main(["wandb", str(tmp_path)]) == 2
    assert "has no RunStarted" in capsys.readouterr().err


def test_a_study_goes_on_where_wandb_cannot_even_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**settings: Any) -> Any:
        raise OSError("no space left")

    monkeypatch.setattr(wandb, "init", broken)
    with pytest.warns(UserWarning, match=r"cannot be started \(no space left\), and flagship .*`lifelong wandb .*run`"):
        out = run(tmp_path / "run", "record.wandb=offline")
    assert (out / "summary.json").is_file()
    assert (out / "reference" / "summary.json").is_file()
