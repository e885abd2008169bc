"""What learns from a stream that never ends answers as it goes, also where nothing is held out to try it on."""

from __future__ import annotations

import json
from pathlib import Path

from lifelong.config import load_config
from lifelong.runs import run_config
from lifelong.serving.answerer import Answerer

STUDY = """
stream:
  name: live
  source: {name: jsonl, path: PATH, follow: false}
  inputs: [2]
  classes: 3
  batch_size: 8
agent: {name: flagship, network: {name: mlp, hidden: [16]}, optimizer: {name: adam, lr: 0.02}}
threads: 1
record: {wandb: disabled, console: false, report: false}
"""


def test_it_answers_what_it_was_taught(tmp_path: Path) -> None:
    places = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]
    rows = [{"input": places[number % 3], "label": number % 3} for number in range(1_200)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "live.yaml").write_text(STUDY.replace("PATH", str(tmp_path / "in.jsonl")))
    run_config(load_config(tmp_path / "live.yaml"), tmp_path / "run")
    answerer = Answerer(tmp_path / "run")
    assert answerer.look()
    told = answerer.answer(json.dumps({"inputs": places}).encode())
    assert [one["class"] for one in told["answers"]] == [0, 1, 2]
    assert all(one["expert"] == 0 and one["confidence"] > 0.9 for one in told["answers"])
    assert answerer.describe()["tasks"][0]["input_range"] is None
