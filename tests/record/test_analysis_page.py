"""`lifelong analyse`: which sections a page has, what stands in the JSON, and what is told of mistakes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifelong.cli import main
from lifelong.record.folder import RunFolder
from lifelong.record.jsonl import EventLog

DIGITS = Path(__file__).resolve().parents[2] / "configs" / "digits.yaml"
SHORT = ["stream.timetable.epochs=1", "evaluation.within=1", "record.wandb=disabled", "record.console=false"]
PLAIN = [*SHORT, "reference=null", "agent=finetune", "agent.network.hidden=[8]"]


def run(out: Path, *more: str) -> Path:
    assert main(["run", str(DIGITS), *more, "--out", str(out)]) == 0
    return out


def titles(page: Path) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page.read_text())


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("pairs")
    orders = ("A B", "B A", "A C")
    return [run(base / order.replace(" ", ""), *PLAIN, f"stream.timetable.order={order}") for order in orders]


def test_a_made_up_run_and_its_reference(tmp_path: Path, make_run: Callable[..., Any]) -> None:
    for path, agent in ((tmp_path / "run", "flagship"), (tmp_path / "run" / "reference", "finetune")):
        log = EventLog(RunFolder(path).create().events)
        for step, event in make_run(agent):
            log.on(step, event)
        log.close()
    assert main(["analyse", str(tmp_path / "run")]) == 0
    page = tmp_path / "run" / "analysis.html"
    assert titles(page) == ["Plasticity", "Stability gap: flagship", "Protected directions", "Room to learn"]
    text = page.read_text()
    assert "flagship minus finetune" in text
    assert "letters &amp; &lt;marks&gt;" in text
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    (found,) = json.loads((tmp_path / "run" / "analysis.json").read_text())["runs"]
    assert [lesson["task"] for lesson in found["plasticity"]["lessons"]] == [
        "digits", "letters & <marks>", "kuzushiji", "fashion",
    ]  # fmt: skip
    assert found["plasticity"]["slopes_against_reference"]["final"] is not None
    assert found["stability"]["looks"] == 20
    before = page.read_bytes()
    assert main(["analyse", str(tmp_path / "run")]) == 0
    assert page.read_bytes() == before


def test_runs_over_pairs(pairs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "all.html"
    assert main(["analyse", *map(str, pairs), "--out", str(out)]) == 0
    wanted = ["Plasticity", "Transfer between tasks", "ACC by stream.timetable.order"]
    assert titles(out)[:3] == wanted
    found = json.loads(out.with_suffix(".json").read_text())
    scores = [json.loads((pair / "summary.json").read_text()) for pair in pairs]
    assert found["transfers"]["tasks"] == ["A", "B", "C"]
    assert found["transfers"]["forward"][0][2] is None
    # Of a pair, BWT is what the second did to the first.
    assert found["transfers"]["backward"][0][1] == pytest.approx(scores[0]["bwt"])
    assert found["setting"] == "stream.timetable.order"
    assert [run["name"] for run in found["runs"]] == ["A B", "B A", "A C"]
    assert {level["value"] for level in found["by_setting"]["acc"]} == {"A B", "B A", "A C"}
    text = out.read_text()
    assert "Still to be run (3): stream.timetable.order=B C;" in text


def test_forgetting_against_similarity(pairs: list[Path], tmp_path: Path) -> None:
    copy = shutil.copytree(pairs[0], tmp_path / "copy")
    assert main(["analyse", str(copy), "--similarity", "means"]) == 0
    assert "Forgetting and similarity: finetune" in titles(copy / "analysis.html")
    (found,) = json.loads((copy / "analysis.json").read_text())["runs"]
    (drop,) = found["similarity"]["drops"]
    assert (drop["earlier"], drop["later"], found["similarity"]["spearman"]) == ("A", "B", None)
    assert -1 < drop["similarity"] < 1


def test_runs_that_differ_in_several_settings_are_not_mixed(pairs: list[Path], tmp_path: Path) -> None:
    other = run(tmp_path / "other", *PLAIN, "stream.timetable.order=B C", "agent.network.hidden=[4]")
    assert main(["analyse", str(pairs[0]), str(other), "--out", str(tmp_path / "a.html")]) == 0
    text = (tmp_path / "a.html").read_text()
    assert "These runs differ in stream.timetable.order, agent.network.hidden" in text
    assert " by stream.timetable.order" not in text


def test_a_probe_has_a_section(tmp_path: Path) -> None:
    stream = "{name: permuted, data: {name: digits}, timetable: {order: %s}}"
    (tmp_path / "p.yaml").write_text(
        f"stream: {{name: 'lifelong_envs.probed:probed', stream: {stream % 'A B'}, probe: {stream % 'G'}}}\n"
        "agent: finetune\n"
    )
    assert main(["run", str(tmp_path / "p.yaml"), *SHORT[1:], "threads=1", "--out", str(tmp_path / "run")]) == 0
    assert main(["analyse", str(tmp_path / "run")]) == 0
    assert "Probe: finetune" in titles(tmp_path / "run" / "analysis.html")


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], pairs: list[Path]) -> None:
    assert main(["analyse", str(tmp_path / "none")]) == 2
    assert "give the folder of a recorded run" in capsys.readouterr().err
    copy = shutil.copytree(pairs[0], tmp_path / "copy")
    (copy / "config.yaml").unlink()
    assert main(["analyse", str(copy), "--similarity", "subspace"]) == 2
    assert "holds no config.yaml" in capsys.readouterr().err
    assert main(["analyse", str(copy)]) == 0
