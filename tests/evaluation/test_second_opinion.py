"""The headline numbers computed a second time, from the lines of events.jsonl, by other means than ours.

Nothing of lifelong is used but to live through a stream: json, dicts, and the formulas as the papers have them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import blobs, toy_stream

from lifelong.config import load_config
from lifelong.evaluation.matrix import ScoreMatrix, acc, bwt, forgetting, fwt, learning_accuracy
from lifelong.evaluation.schedule import Schedule
from lifelong.lifetime import run
from lifelong.network import Mlp
from lifelong.optimizer import Optimizer
from lifelong.record.runs import read_run
from lifelong.stream import Stream
from lifelong_agents.finetune import Finetune
from lifelong_envs.relay import Relay
from lifelong_envs.supervised.data import Arrays
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.timetable import Timetable

NAMES = ("acc", "bwt", "fwt", "forgetting", "learning_accuracy")
MIXED = Path(__file__).resolve().parents[2] / "configs" / "mixed.yaml"


def second_opinion(events: Path) -> dict[str, float | None]:
    """ACC and BWT (Lopez-Paz & Ranzato 2017), forgetting (Chaudhry et al. 2018), learning accuracy (Riemer 2019)."""
    score: dict[tuple[int, str], float] = {}
    order: list[str] = []
    for line in events.read_text().splitlines():
        row = json.loads(line)
        if row["event"] == "TaskEntered":
            order.append(row["task"])
        elif row["event"] == "TaskScored" and row["at_end"]:
            score[row["segment"], row["task"]] = row["score"]
    while order and any((len(order), task) not in score for task in order):
        order.pop()
    end = len(order)
    taught = {task: [k for k, other in enumerate(order, start=1) if other == task] for task in order}
    old = [task for task in taught if task != order[-1]]

    def mean(values: list[float]) -> float | None:
        return math.fsum(values) / len(values) if values else None

    return {
        "acc": mean([score[end, task] for task in taught]),
        "bwt": mean([score[end, task] - score[taught[task][-1], task] for task in old]),
        "fwt": mean([score[taught[task][0] - 1, task] - score[0, task] for task in list(taught)[1:]]),
        "forgetting": mean(
            [max(score[k, task] for k in range(taught[task][0], end)) - score[end, task] for task in old]
        ),
        "learning_accuracy": mean([score[k, task] for k, task in enumerate(order, start=1)]),
    }


def blurred() -> Stream:
    inputs, targets = blobs(7, 16 * 40 + 200)
    data = Arrays(inputs[:-200], targets[:-200], inputs[-200:], targets[-200:], name="blobs")
    return permuted(data, Timetable(order="A B C B", batch_size=16, ramp=20))


def two_in_turn() -> Stream:
    """Two streams, whose tasks come in turn and come back: A B0 A B0 ..., with names of their own."""
    inputs, targets = blobs(3, 16 * 20 + 100)
    data = Arrays(inputs[:-100], targets[:-100], inputs[-100:], targets[-100:], name="others")
    return Relay([toy_stream("A B A", steps=30), permuted(data, Timetable(order="C D C", batch_size=16))])


STREAMS: dict[str, Callable[[], Stream]] = {
    "one task": lambda: toy_stream("A", steps=30),
    "each once": lambda: toy_stream("A B C", steps=30),
    "recurring": lambda: toy_stream("A B A C A B", steps=30),
    "the same twice in a row": lambda: toy_stream("A A B B", steps=30),
    "blurred": blurred,
    "in turn": two_in_turn,
}


def agree(found: dict[str, Any], expected: dict[str, float | None]) -> None:
    for name in NAMES:
        if expected[name] is None:
            assert found[name] is None, name
        else:
            assert found[name] == pytest.approx(expected[name], abs=1e-12), name


@pytest.mark.parametrize("kind", STREAMS)
def test_the_summary_says_what_the_events_say(kind: str, tmp_path: Path) -> None:
    agent = Finetune(Mlp(hidden=(16,)), Optimizer("adam", lr=0.01))
    run(STREAMS[kind](), agent, out=tmp_path / "run", evaluation=Schedule(within=1))
    expected = second_opinion(tmp_path / "run" / "events.jsonl")
    agree(json.loads((tmp_path / "run" / "summary.json").read_text()), expected)
    if kind != "one task":
        assert None not in expected.values()
        assert len({expected["acc"], expected["bwt"], expected["forgetting"], expected["fwt"]}) == 4


def test_tasks_of_several_kinds(tmp_path: Path) -> None:
    short = ["evaluation.within=0", "reference=null", "threads=1", "stream.timetable.epochs=1", "device=cpu"]
    study = load_config(MIXED, short).build()
    run(study.stream, study.agent.build(), out=tmp_path / "run", evaluation=study.schedule)
    found = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert len(found["metric"].split(" / ")) > 1
    agree(found, second_opinion(tmp_path / "run" / "events.jsonl"))


@pytest.mark.parametrize("kept", [0.2, 0.45, 0.7, 0.95])
def test_a_run_that_was_stopped_anywhere(kept: float, tmp_path: Path) -> None:
    agent = Finetune(Mlp(hidden=(16,)), Optimizer("adam", lr=0.01))
    run(toy_stream("A B A C", steps=30), agent, out=tmp_path / "run", evaluation=Schedule(within=1))
    path = tmp_path / "run" / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: int(kept * len(lines))]))
    summary = read_run(tmp_path / "run").summary
    assert not summary.finished
    agree({name: getattr(summary, name) for name in NAMES}, second_opinion(path))


def names(number: int) -> tuple[str, ...]:
    return tuple(f"t{k}" for k in range(number))


@pytest.mark.parametrize("number", [2, 3, 5, 10, 20])
def test_ten_points_lost_on_every_old_task_are_ten_points(number: int) -> None:
    """A mean that leaves a task out and divides by all old ones would say 5.0 of 3 tasks, 7.5 of 5."""
    scores = np.zeros((number + 1, number))
    for task in range(number):
        scores[task + 1 :, task] = 0.8
        scores[task + 2 :, task] = 0.7
    matrix = ScoreMatrix(names(number), names(number), scores)
    assert 100 * bwt(matrix) == pytest.approx(-10.0)
    assert 100 * forgetting(matrix) == pytest.approx(10.0)
    assert 100 * learning_accuracy(matrix) == pytest.approx(80.0)
    assert 100 * acc(matrix) == pytest.approx(80.0 - 10.0 * (number - 1) / number)


def test_forgetting_is_negative_where_old_tasks_end_better_than_they_ever_were() -> None:
    scores = np.array([[0.1, 0.1, 0.1], [0.6, 0.2, 0.1], [0.7, 0.8, 0.2], [0.9, 0.85, 0.8]])
    matrix = ScoreMatrix(names(3), names(3), scores)
    assert forgetting(matrix) == pytest.approx(-((0.9 - 0.7) + (0.85 - 0.8)) / 2)
    assert bwt(matrix) == pytest.approx(((0.9 - 0.6) + (0.85 - 0.8)) / 2)


def test_forward_transfer_is_measured_against_the_learner_that_had_seen_nothing() -> None:
    """A baseline taken from the live learner would make every term 0."""
    scores = np.array([[0.10, 0.12, 0.20], [0.9, 0.32, 0.2], [0.8, 0.9, 0.15], [0.8, 0.8, 0.9]])
    matrix = ScoreMatrix(names(3), names(3), scores)
    assert fwt(matrix) == pytest.approx(((0.32 - 0.12) + (0.15 - 0.20)) / 2)


def test_forgetting_looks_back_to_the_best_and_not_to_the_first() -> None:
    scores = np.array([[0.1, 0.1], [0.7, 0.1], [0.5, 0.8], [0.9, 0.8], [0.6, 0.8]])
    matrix = ScoreMatrix(("A", "B"), ("A", "B", "A", "B"), scores)
    assert forgetting(matrix) == pytest.approx(0.3)
    assert bwt(matrix) == pytest.approx(-0.3)
