"""The main job on real data: what the demo shows must hold on another seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.config import load_config
from lifelong.evaluation.summary import Summary
from lifelong.lifetime import run

DIGITS = Path(__file__).resolve().parents[2] / "configs" / "digits.yaml"


def lived(which: str, *overrides: str) -> Summary:
    study = load_config(DIGITS, ["seed=3", "evaluation.within=0", *overrides]).build()
    plan = study.agent if which == "agent" else study.reference
    return run(study.stream, plan.build(), seed=3, evaluation=study.schedule).summary


def test_the_flagship_finds_every_shift_and_forgets_nothing():
    found = lived("agent")
    assert (found.shifts_true, found.shifts_detected, found.false_alarms, found.missed_shifts) == (4, 4, 0, 0)
    assert found.detection_delay <= 6
    assert found.experts == 4
    assert found.acc >= 0.95
    assert found.bwt >= -0.02
    assert found.routing_accuracy >= 0.97


def test_naive_finetuning_forgets():
    found = lived("reference")
    assert found.acc <= 0.75
    assert found.bwt < -0.2


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [16, 64])
def test_other_batch_sizes_are_served_by_the_same_settings(batch_size):
    found = lived("agent", f"stream.timetable.batch_size={batch_size}", "stream.timetable.epochs=16")
    assert (found.shifts_detected, found.false_alarms, found.experts) == (4, 0, 4)
    assert found.acc >= 0.95


def test_a_stationary_stream_is_left_in_peace():
    found = lived("agent", "stream.timetable.order=A A A A A")
    assert (found.shifts_true, found.shifts_detected, found.experts) == (0, 0, 1)
