"""Studies that run: every cell once, the same numbers however they came to be, and nothing lost by a failure."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lifelong import cli
from lifelong.config import Resolved
from lifelong.record.folder import RunFolder
from lifelong.runs import run_quietly
from lifelong.study.engine import Ended, Started
from lifelong.study.engine_here import HereEngine
from lifelong.study.engine_local import LocalEngine
from lifelong.study.engine_ray import RayEngine
from lifelong.study.grid import held, state_of
from lifelong.study.job import attempt
from lifelong.study.plan import plan_study
from lifelong.study.run import engine_of, job_of, study

Load = Callable[..., Resolved]
SMALL = ["--references", "naive,independent", "--seeds", "0-1"]


def test_in_weights_and_biases_references_are_of_another_job_type(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lifelong import runs

    told: list[tuple[str, str]] = []

    def sink(study: object, agent: str, out: Path, settings: object, role: str) -> Silent:
        told.append((agent, role))
        return Silent()

    monkeypatch.setattr(runs, "_wandb_sink", sink)
    resolved = load("record.wandb=offline", "record.report=false")
    study(resolved, tmp_path / "grid", (0,), HereEngine(), asked=("plain",), references=("joint",))
    assert told == [("plain", "agent"), ("joint", "reference")]


class Silent:
    """A subscriber that does nothing."""

    def on(self, step: int, event: object) -> None: ...

    def close(self) -> None: ...


def test_the_folder_of_a_study_is_told_from_that_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "s" / "er" / "seed-3").mkdir(parents=True)
    (tmp_path / "s" / "er" / "seed-3" / "events.jsonl").write_text("")
    with pytest.raises(FileNotFoundError, match=r"is the folder of a study: give .* its 1 runs, such as .*seed-3\."):
        RunFolder(tmp_path / "s").require()


class _WellFormed(HTMLParser):
    """Tags that are opened and closed in turn."""

    VOID = ("meta", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def truth(out: Path) -> dict[str, bytes]:
    """The records of all cells."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.glob("*/seed-*/events.jsonl")}


def touched(out: Path) -> dict[str, tuple[int, int]]:
    """Which file each finished cell's summary and record are, and when they were written."""
    files = [path for path in out.glob("*/seed-*/*") if path.name in ("summary.json", "events.jsonl", "config.yaml")]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_a_study_runs_is_read_again_and_failures_are_listed(
    load: Load, inside: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trap = "agents.<b>trap</b>=study_parts:Trap"
    load(trap)
    out = tmp_path / "out"
    command = ["study", "tiny.yaml", trap, "--agents", "slow,<b>trap</b>", *SMALL, "--out", str(out)]
    assert cli.main(command) == 1
    said = capsys.readouterr()
    assert "b-trap-b/seed-1" in re.sub(r"\s", "", said.out)
    assert "FAILED: RuntimeError: sprung <b>trap</b> (" in said.err
    assert sorted(truth(out)) == sorted(
        f"{name}/seed-{seed}/events.jsonl" for name in ("slow", "naive", "independent", "b-trap-b") for seed in (0, 1)
    )

    # A cell is what `lifelong run` would do with its config.yaml.
    assert cli.main(["run", str(out / "slow/seed-1/config.yaml"), "--out", str(tmp_path / "alone")]) == 0
    alone, cell = ((folder / "events.jsonl").read_text() for folder in (tmp_path / "alone", out / "slow/seed-1"))
    assert alone.replace('"finetune"', '"slow"') == cell
    assert RunFolder(out / "slow/seed-1").read_summary().cpu_seconds is not None

    rows = {row["agent"]: row for row in csv.DictReader((out / "table.csv").open(encoding="utf-8"))}
    assert [(row["agent"], row["seeds"], row["told"]) for row in rows.values()] == [
        ("slow", "2", "False"),
        ("<b>trap</b>", "1", "False"),
        ("naive", "2", "False"),
        ("independent", "2", "True"),
    ]
    scores = [RunFolder(out / f"naive/seed-{seed}").read_summary().acc for seed in (0, 1)]
    assert float(rows["naive"]["acc"]) == pytest.approx(sum(map(float, scores)) / 2)
    cells = list(csv.DictReader((out / "cells.csv").open(encoding="utf-8")))
    assert [cell["error"] for cell in cells if cell["label"] == "<b>trap</b>"] == [
        "",
        "RuntimeError: sprung <b>trap</b>",
    ]
    assert float(cells[2]["acc"]) == scores[0]
    told = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert (told["baseline"], told["seeds"], len(told["cells"])) == ("naive", [0, 1], 8)

    error = (out / "b-trap-b/seed-1/error.txt").read_text(encoding="utf-8")
    assert error.startswith("RuntimeError: sprung <b>trap</b>\n\nTraceback")
    assert "second line" in error

    page = (out / "study.html").read_text(encoding="utf-8")
    reader = _WellFormed()
    reader.feed(page)
    assert reader.open == []
    assert all(link.startswith("#") for link in reader.links)
    assert "<b>trap" not in page
    assert "RuntimeError: sprung &lt;b&gt;trap&lt;/b&gt;" in page
    assert page.count("<svg") == 2
    assert r"\<b\>trap\</b\>" in (out / "table.md").read_text(encoding="utf-8")
    assert r"\textless{}b\textgreater{}trap" in (out / "table.tex").read_text(encoding="utf-8")

    # Once more: what is finished is read alone, and what failed is tried again, from where it stood.
    before, numbers = touched(out), (out / "cells.csv").read_text(encoding="utf-8")
    pages = page, (out / "table.csv").read_bytes()
    for name in ("study.html", "table.csv", "table.md"):
        (out / name).unlink()
    assert cli.main(command) == 1
    after = touched(out)
    assert {k: v for k, v in after.items() if "b-trap-b/seed-1" not in k} == {
        k: v for k, v in before.items() if "b-trap-b/seed-1" not in k
    }
    assert (out / "cells.csv").read_text(encoding="utf-8") == numbers
    assert ((out / "study.html").read_text(encoding="utf-8"), (out / "table.csv").read_bytes()) == pages

    # Another configuration is never mixed with this one.
    capsys.readouterr()
    assert cli.main([*command, "agent.optimizer.lr=0.02"]) == 2
    assert "holds a run of another configuration (it differs in agent.optimizer.lr)" in capsys.readouterr().err
    assert touched(out) == after


def test_a_study_that_was_killed_goes_on_where_it_was(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = "agents.trap={name: study_parts:Trap, how: slow, on: 1}"
    load(trap)
    often = "record.checkpoint_every=12"
    command = ["study", "tiny.yaml", trap, often, "--agents", "trap", "--references", "none", "--seeds", "0-1"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    killed = subprocess.Popen(
        [sys.executable, "-m", "lifelong", *command, "--jobs", "1", "--out", str(cut)],
        env=environment,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    # The last cell is slow from its second segment on, after its first checkpoint.
    checkpoints = cut / "trap/seed-1/checkpoints"
    while not list(checkpoints.glob("step-*.pt")):
        assert killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not RunFolder(cut / "trap/seed-1").summary.exists()
    finished = touched(cut)
    assert sum(name.endswith("summary.json") for name in finished) == 1

    monkeypatch.setattr("lifelong.study.run.engine_of", lambda *_: HereEngine())
    monkeypatch.setenv("STUDY_PARTS_NAP", "0")
    for out in (cut, whole):
        assert cli.main([*command, "--out", str(out)]) == 0
    assert truth(cut) == truth(whole)
    assert {name: stamp for name, stamp in touched(cut).items() if "trap/seed-1" not in name} == {
        name: stamp for name, stamp in finished.items() if "trap/seed-1" not in name
    }


def test_workers_fail_their_own_cells_alone_and_end_with_the_study(load: Load, tmp_path: Path) -> None:
    resolved = load(
        "agents={die: {name: study_parts:Trap, how: die, after: 1, on: 0}, well: finetune, "
        "slow: {name: study_parts:Trap, how: slow, after: 1, on: 0}}"
    )
    die, well, slow = plan_study(resolved, tmp_path / "out", (0,), references=()).cells()
    happening = LocalEngine(1, (), tmp_path / "log").run([job_of(cell) for cell in (die, well, slow)])
    assert next(happening) == Started(0)
    why = "The process of this cell was ended by SIGKILL. Was there too little memory? Try fewer --jobs."
    assert next(happening) == Ended(0, why)
    assert (die.path / "error.txt").read_text(encoding="utf-8").startswith(why)
    assert [next(happening) for _ in range(3)] == [Started(1), Ended(1, None), Started(2)]
    assert RunFolder(well.path).read_summary().finished
    record = slow.path / "events.jsonl"
    while not record.exists():
        time.sleep(0.02)
    happening.close()
    length = record.stat().st_size
    time.sleep(0.3)
    assert record.stat().st_size == length
    assert not RunFolder(slow.path).summary.exists()


@pytest.mark.slow
def test_a_study_on_ray_has_the_same_numbers(load: Load, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    resolved = load("agents.trap={name: study_parts:Trap, on: 1}")
    for where, engine in (("here", HereEngine()), ("ray", RayEngine(2, ()))):
        results = study(resolved, tmp_path / where, (0, 1), engine, references=())
        assert [(cell.contender.label, cell.seed, why) for cell, why in results.failed] == [
            ("trap", 1, "RuntimeError: sprung <b>trap</b>")
        ]
    one, other = truth(tmp_path / "here"), truth(tmp_path / "ray")
    assert one == other
    assert len(one) == 6


def test_without_ray_one_is_told_how_to_get_it(
    load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load()
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main(["study", "tiny.yaml", "--engine", "ray", "--out", "never"]) == 2
    assert not Path("never").exists()
    assert "pip install 'lifelong[ray]'" in capsys.readouterr().err


def test_states_of_a_cell(load: Load, tmp_path: Path) -> None:
    (cell, *_) = plan_study(load(), tmp_path / "out", (0,), references=()).cells()
    assert state_of(cell) == "new"
    run_quietly(cell.contender.config, cell.path, "plain")
    assert state_of(cell) == "finished"
    folder = RunFolder(cell.path)
    # What was cut short is gone on with, and comes to the same.
    events, summary = folder.events.read_bytes(), folder.read_summary()
    folder.summary.write_text(folder.summary.read_text(encoding="utf-8")[:50], encoding="utf-8")
    assert state_of(cell) == "begun"
    assert attempt(job_of(cell)) is None
    assert (state_of(cell), folder.events.read_bytes(), folder.read_summary().acc) == ("finished", events, summary.acc)
    folder.config.write_text("agent: [", encoding="utf-8")
    with pytest.raises(FileExistsError, match="which this version of lifelong cannot read"):
        state_of(cell)
    folder.config.unlink()
    with pytest.raises(FileExistsError, match=r"holds a run without its config\.yaml"):
        state_of(cell)


def test_a_cell_that_failed_is_begun_anew_where_its_settings_were_mended(load: Load, tmp_path: Path) -> None:
    trap = "agents={trap: {name: study_parts:Trap, after: %d, on: 0}}"
    (cell,) = plan_study(load(trap % 14), tmp_path / "out", (0,), references=()).cells()
    assert "sprung" in (attempt(job_of(cell)) or "")
    assert state_of(cell) == "begun"
    (mended,) = plan_study(load(trap % 1000), tmp_path / "out", (0,), references=()).cells()
    assert (state_of(mended), cell.path.exists()) == ("new", False)
    assert attempt(job_of(mended)) is None
    # A result is never removed.
    with pytest.raises(FileExistsError, match=r"differs in agent\.after"):
        state_of(cell)


def test_two_studies_do_not_share_a_folder(load: Load, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with held(out), pytest.raises(FileExistsError, match="Another study is at work"):
        study(load(), out, (0,), HereEngine(), references=())
    with held(out):
        pass


def test_mistakes_end_a_study_before_it_has_begun(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="At least one cell must run at a time, got --jobs 0"):
        engine_of("local", load(), tmp_path, 0)
    wrong = load("agents.plain.network={name: mlp, hidden: [0]}")
    with pytest.raises(ValueError, match=r"command line: agent.network: mlp: hidden must list at least one"):
        study(wrong, tmp_path / "other", (0,), HereEngine(), references=())
    assert not (tmp_path / "other").exists()


def test_what_lies_beside_is_named_and_a_report_that_is_missing_is_written(
    load: Load, tmp_path: Path, inside: HereEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grid"
    study(load(), out, (0, 1), inside, references=())
    report = RunFolder(out / "plain" / "seed-0").report
    written = report.read_bytes()
    report.unlink()
    capsys.readouterr()
    again = study(load(), out, (0,), inside, asked=("plain",), references=())
    assert report.read_bytes() == written
    assert again.beside == {"plain": 1, "slow": 2}
    told = "of agents or seeds not asked for now: plain (1), slow (2)."
    assert told in " ".join(capsys.readouterr().out.split())
    assert told in (out / "table.md").read_text(encoding="utf-8")


def test_cells_without_reports_have_numbers(load: Load, tmp_path: Path, inside: HereEngine) -> None:
    study(load("record.report=false"), tmp_path / "grid", (0,), inside, references=())
    assert not list(tmp_path.glob("grid/*/*/report.html"))
    assert (tmp_path / "grid/study.html").is_file()
    alone = ["run", str(tmp_path / "grid/plain/seed-0/config.yaml"), "--out", str(tmp_path / "alone")]
    assert cli.main(alone) == 0
    assert not (tmp_path / "alone/report.html").exists()
    assert cli.main(["report", str(tmp_path / "alone")]) == 0
    assert (tmp_path / "alone/report.html").is_file()
