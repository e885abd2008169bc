"""Rows that stand for several updates say the same as the updates themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lifelong.evaluation.analysis.plasticity import fit_speed
from lifelong.evaluation.columns import Columns
from lifelong.evaluation.routing import owners
from lifelong.evaluation.summary import summary_of
from lifelong.evaluation.trace import Trace, Tracing
from lifelong.events import Event, Learned, RunStarted, TaskEntered, TaskFacts

TASKS = (TaskFacts("A", "accuracy", True, 0.0, 1.0, 10), TaskFacts("W", "return", True, -math.inf, math.inf, 5))
SEGMENTS = (("A", 5_000), ("W", 3_000), ("A", 4_000))


def a_record(seed: int) -> list[tuple[int, Event]]:
    random = np.random.default_rng(seed)
    starts = tuple(np.cumsum([0, *(steps for _, steps in SEGMENTS[:-1])]).tolist())
    names = tuple(name for name, _ in SEGMENTS)
    record: list[tuple[int, Event]] = [
        (0, RunStarted("s", "a", 0, "cpu", TASKS, names, starts, 12_000, None, False, 64))
    ]
    step = 0
    for segment, (name, steps) in enumerate(SEGMENTS):
        record.append((step, TaskEntered(name, segment)))
        end, expert = step + steps, segment % 2
        while step < end:
            count = min(int(random.integers(1, 300)), end - step)
            step += count
            losses, scores = random.random(count), random.random(count)
            if name == "W":
                losses[random.random(count) < 0.5] = math.nan
                scores[random.random(count) < 0.8] = math.nan
            samples = count * (64 if name == "W" else int(random.integers(1, 33)))
            statistics = random.random(count) * 9
            told = tuple(losses.tolist()), tuple(scores.tolist()), tuple(statistics.tolist())
            record.append((step, Learned(expert, samples, *told)))
            if random.random() < 0.3:
                expert = 1 - expert
    return record


def traced(record: list[tuple[int, Event]], limit: int) -> Trace:
    tracing = Tracing(limit)
    for step, event in record:
        tracing.on(step, event)
    return tracing.trace()


@pytest.mark.parametrize("limit", [6_000, 700, 150])
def test_what_is_put_together_comes_to_the_same(limit: int) -> None:
    record = a_record(3)
    whole, thin = traced(record, 1 << 18), traced(record, limit)
    assert len(whole.steps) == 12_000
    assert len(thin.steps) <= limit
    one, other = summary_of(whole, 1.0, {}), summary_of(thin, 1.0, {})
    for name in ("prequential_accuracy", "return_while_learning"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-12)
    for name in ("env_steps", "env_steps_per_experience", "diverged", "experts", "steps"):
        assert getattr(other, name) == getattr(one, name)
    assert owners(thin) == owners(whole)
    assert thin.updates.sum() == 12_000
    assert thin.statistics.max() == whole.statistics.max()
    # Rows lie end to end, and none reaches from one stretch, or one expert, into another.
    assert np.array_equal(thin.steps - thin.updates, np.concatenate([[0], thin.steps[:-1]]))
    assert {5_000, 8_000, 12_000} <= set(thin.steps.tolist())
    assert np.array_equal(np.repeat(thin.experts, thin.updates), whole.experts)


def test_the_first_loss_that_was_no_number_keeps_its_step() -> None:
    losses = [0.5] * 777 + [math.inf, 0.5, math.nan] + [0.5] * 1_000
    columns = Columns(limit=100)
    for first in range(0, len(losses), 10):
        block = tuple(losses[first : first + 10])
        columns.add(first + len(block), Learned(0, len(block), block, block, block), 0)
    table = columns.table()
    assert len(table) <= 100
    broken = table["broken"][table["broken"] > 0]
    assert broken[0] == 778
    assert np.isfinite(table["loss"]).all()


def test_stretches_beyond_all_bounds_are_all_kept() -> None:
    columns = Columns(limit=50)
    for step in range(1, 1_001):
        columns.add(step, Learned(step % 2, 1, (0.1,), (0.2,), (0.3,)), 0)
    assert columns.table()["expert"].tolist() == [step % 2 for step in range(1, 1_001)]


def test_how_fast_something_was_learned_is_told_as_finely_as_the_rows_are() -> None:
    curve = 1 - np.exp(-np.arange(1, 4_001) / 600)
    exactly = fit_speed(curve)
    assert exactly is not None
    coarse = curve.reshape(-1, 16).mean(1)
    roughly = fit_speed(coarse, updates=np.full(len(coarse), 16))
    assert roughly is not None
    assert abs(roughly - exactly) <= 32
