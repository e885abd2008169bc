"""What a configuration resolves to, and that it is the same when it is read back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from toy_parts import Alarm, Hours, Knob, Numbers, ToyAgent, ToyStream
from toy_study import MINIMAL, Load

from lifelong.config import load_config


def test_every_default_is_written_out(load: Load) -> None:
    assert load().as_dict() | {"modules_from": None} == {
        "stream": {
            "name": "toy_parts:toy_stream",
            "data": {"name": "toy_parts:Numbers", "count": 8, "spread": 1.0},
            "hours": {"order": None, "steps": 9},
            "tasks": None,
        },
        "agent": {
            "name": "toy_parts:ToyAgent",
            "lr": 1e-3,
            "widths": [4, 4],
            "mode": "slow",
            "verbose": False,
            "title": "toy",
            "detector": {"name": "toy_parts:Alarm", "threshold": 7.0},
            "gadget": {"name": "toy_parts:Knob", "turns": 5},
        },
        "reference": None,
        "agents": {},
        "seed": 0,
        "device": "auto",
        "threads": None,
        "evaluation": {"within": 4, "within_samples": 500, "within_episodes": 5, "batch_size": 2048, "every": 1000},
        "record": {
            "console": True,
            "wandb": "auto",
            "project": "lifelong",
            "group": None,
            "tags": [],
            "artifacts": "all",
            "flush_every": 256,
            "checkpoint_every": None,
            "checkpoint_minutes": 1.0,
            "checkpoints_kept": 2,
            "frames": True,
            "report": True,
        },
        "modules_from": None,
    }


RICH = """
    stream:
      name: toy_parts:blend
      streams:
        - {name: toy_parts:toy_stream, data: toy_parts:Numbers, seed: 7, hours: {order: [A, B c, A], steps: 2}}
        - name: toy_parts:toy_stream
          data: {name: toy_parts:Numbers, count: 3, spread: .inf}
      weights: [1, 2.5]
    agent:
      name: toy_parts:ToyAgent
      lr: 1e-2
      title: "1e-3"
      mode: fast
      detector: null
    reference: {name: toy_parts:ToyAgent, title: "no", widths: []}
    seed: 3
    device: cpu
    threads: 1
    record: {tags: ["true", "010", "~"], wandb: offline}
"""


@pytest.mark.parametrize("text", [MINIMAL, RICH])
def test_the_written_configuration_is_the_same_from_another_folder(load: Load, tmp_path: Path, text: str) -> None:
    first = load(text)
    elsewhere = tmp_path / "runs" / "one"
    elsewhere.mkdir(parents=True)
    (elsewhere / "config.yaml").write_text(first.to_yaml(), encoding="utf-8")
    second = load_config(elsewhere / "config.yaml")
    assert second.as_dict() == first.as_dict()
    assert second.to_yaml() == first.to_yaml()


def test_a_rich_configuration_is_built_as_written(load: Load) -> None:
    resolved = load(RICH)
    study = resolved.build()
    agent, reference = study.agent.build(), study.reference.build() if study.reference else None
    assert isinstance(study.stream, ToyStream)
    assert isinstance(agent, ToyAgent)
    assert isinstance(reference, ToyAgent)
    assert (study.stream.seed, study.stream.hours) == (7, Hours(order=["A", "B c", "A"], steps=2))
    assert study.stream.data == Numbers()
    assert (agent.lr, agent.title, agent.mode, agent.detector, agent.seed) == (0.01, "1e-3", "fast", None, 3)
    assert (reference.title, reference.widths) == ("no", ())
    assert study.record.tags == ("true", "010", "~")
    assert (study.seed, study.device, study.threads) == (3, "cpu", 1)
    assert (study.agent.name, resolved.reference_name) == ("ToyAgent", "ToyAgent")
    assert math.isinf(resolved.as_dict()["stream"]["streams"][1]["data"]["spread"])


def test_the_run_s_seed_reaches_what_leaves_it_out_and_nothing_else(load: Load) -> None:
    study = load(MINIMAL, "seed=5", "agent.gadget={name: toy_parts:Knob, seed: 2}").build()
    agent = study.agent.build()
    assert isinstance(study.stream, ToyStream)
    assert isinstance(agent, ToyAgent)
    assert isinstance(agent.gadget, Knob)
    assert (study.stream.seed, agent.seed, agent.gadget.seed) == (5, 5, 2)


def test_the_run_s_seed_is_not_frozen_into_the_record(load: Load, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(load(MINIMAL, "seed=5").to_yaml(), encoding="utf-8")
    stream = load_config(tmp_path / "config.yaml", ["seed=6"]).build().stream
    assert isinstance(stream, ToyStream)
    assert stream.seed == 6


def test_default_objects_with_a_state_are_never_shared(load: Load) -> None:
    plan = load().build().agent
    first, second = plan.build(), plan.build()
    assert isinstance(first, ToyAgent)
    assert isinstance(second, ToyAgent)
    assert isinstance(first.detector, Alarm)
    assert first.detector == second.detector == Alarm(threshold=7.0)
    assert first.detector is not second.detector
    assert first is not second
    assert first.activation is abs


@pytest.mark.parametrize(
    ("override", "threshold"),
    [
        ("agent.detector.threshold=2", 2.0),
        ("agent.detector={threshold: 2}", 2.0),
        ("agent.detector={name: toy_parts:Alarm}", 5.0),
        ("agent.detector=toy_parts:Alarm", 5.0),
        ("agent.lr=1", 7.0),
    ],
)
def test_a_section_without_a_name_changes_the_default_and_one_with_a_name_replaces_it(
    load: Load, override: str, threshold: float
) -> None:
    agent = load(MINIMAL, override).build().agent.build()
    assert isinstance(agent, ToyAgent)
    assert agent.detector == Alarm(threshold=threshold)


def test_a_default_section_is_changed_key_by_key(load: Load) -> None:
    stream = load(MINIMAL, "stream.hours.order=A B").build().stream
    assert isinstance(stream, ToyStream)
    assert stream.hours == Hours(order="A B", steps=9)
