"""Streams of digits that agents lost worlds on: mild shifts that come back, ramps that come back, pruning meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.evaluation.schedule import Schedule
from lifelong.evaluation.summary import Summary
from lifelong.lifetime import run
from lifelong.optimizer import Optimizer
from lifelong.pruning import Gradual
from lifelong_agents.flagship import flagship
from lifelong_envs.supervised.data import Digits
from lifelong_envs.supervised.permuted import permuted
from lifelong_envs.supervised.rotated import rotated
from lifelong_envs.supervised.task_stream import TaskStream
from lifelong_envs.supervised.timetable import Timetable

ADAM = Optimizer("adam", lr=1e-3)


def lived(stream: TaskStream, folder: Path, seed: int = 0, **settings) -> Summary:
    learner = flagship(optimizer=ADAM, seed=seed, **settings)
    return run(stream, learner, out=folder, evaluation=Schedule(within=0)).summary


@pytest.mark.parametrize("start", ["auto", pytest.param("nearest", marks=pytest.mark.slow)])
def test_worlds_a_few_degrees_apart_that_come_back_are_all_kept(start, tmp_path):
    timetable = Timetable("A B C A B D A", epochs=8)
    summary = lived(rotated(Digits(), timetable, angles=[0.0, 15.0, 30.0, 45.0]), tmp_path, start=start)
    assert summary.acc > 0.92
    assert summary.forgetting < 0.05
    assert summary.false_alarms == 0


@pytest.mark.parametrize("kind", [permuted, pytest.param(rotated, marks=pytest.mark.slow)])
def test_worlds_that_come_and_go_by_ramps_are_kept(kind, tmp_path):
    summary = lived(kind(Digits(), Timetable("A B A C A", epochs=14, ramp=200)), tmp_path)
    assert summary.acc > 0.9
    assert summary.experts <= 3


@pytest.mark.parametrize("share", [0.97, pytest.param(0.9, marks=pytest.mark.slow)])
def test_what_pruning_costs_is_no_shift(share, tmp_path):
    timetable, prune = Timetable("A", epochs=25), Gradual(share, begin=100, end=800, every=50)
    summary = lived(permuted(Digits(), timetable, tasks=1), tmp_path, share="never", prune=prune)
    assert summary.false_alarms == 0
    assert summary.experts == 1
    assert summary.nonzero == summary.parameters - round(share * summary.parameters)


def test_worlds_are_told_apart_while_experts_are_pruned(tmp_path):
    timetable, prune = Timetable("A B C A B D A", epochs=7), Gradual(0.9, begin=50, end=140, every=10)
    summary = lived(permuted(Digits(), timetable), tmp_path, share="never", prune=prune)
    assert summary.experts == 4
    assert summary.missed_shifts == summary.false_alarms == 0
