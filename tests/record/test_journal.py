"""Updates settle into the right blocks, in order, cheaply; failing subscribers do no harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from lifelong.events import Event, Learned, TaskEntered, Update
from lifelong.objective import Accuracy, Explained
from lifelong.record import journal as journal_module
from lifelong.record.journal import Journal
from lifelong.record.jsonl import EventLog, RecordLost


class Seen:
    def __init__(self) -> None:
        self.records: list[tuple[int, Event]] = []
        self.closed = 0

    def on(self, step: int, event: Event) -> None:
        self.records.append((step, event))

    def close(self) -> None:
        self.closed += 1

    def learned(self) -> list[tuple[int, Learned]]:
        return [(step, event) for step, event in self.records if isinstance(event, Learned)]


class Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def on(self, step: int, event: Event) -> None:
        self.calls += 1
        raise self.error

    def close(self) -> None:
        raise self.error


def update(expert: int = 0, samples: int = 4, right: int = 2, loss: float = 0.5, statistic: float = 0.0) -> Update:
    outputs = torch.zeros(samples, 3)
    outputs[:, 1] = 1.0
    targets = torch.zeros(samples, dtype=torch.int64)
    targets[:right] = 1
    return Update(expert, torch.tensor(loss), outputs, targets, Accuracy().per_sample, statistic)


def test_a_run_of_updates_becomes_one_block_stamped_with_its_last_step() -> None:
    seen = Seen()
    journal = Journal([seen])
    for step in range(1, 5):
        journal.note(step, update(right=step, loss=step / 8, statistic=step / 3))
    assert seen.records == []
    journal.flush()
    assert seen.records == [
        (
            4,
            Learned(0, 16, (0.125, 0.25, 0.375, 0.5), (0.25, 0.5, 0.75, 1.0), (0.333333, 0.666667, 1.0, 1.33333)),
        )
    ]


def test_blocks_break_at_another_expert_shape_or_metric_and_keep_their_order() -> None:
    seen = Seen()
    journal = Journal([seen])
    regression = Update(1, torch.tensor(2.0), torch.ones(2, 1), torch.zeros(2, 1), Explained().per_sample)
    journal.note(1, update(0, right=4))
    journal.note(2, update(0, right=0))
    journal.note(3, update(0, samples=3, right=1))
    journal.note(4, update(1, right=1))
    journal.note(5, regression)
    journal.note(6, update(0, right=3))
    journal.close()
    assert [(step, block.expert, block.samples, block.scores) for step, block in seen.learned()] == [
        (2, 0, 8, (1.0, 0.0)),
        (3, 0, 3, (0.333333,)),
        (4, 1, 4, (0.25,)),
        (5, 1, 2, (0.0,)),
        (6, 0, 4, (0.75,)),
    ]
    assert seen.closed == 1


def test_any_fact_is_published_after_the_updates_before_it() -> None:
    seen = Seen()
    journal = Journal([seen])
    journal.note(1, update())
    journal.note(1, TaskEntered("B", 1))
    journal.note(2, update())
    journal.close()
    assert [type(event) for _, event in seen.records] == [Learned, TaskEntered, Learned]


def test_it_settles_by_itself_after_so_many_updates_and_before_it_holds_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = Seen()
    journal = Journal([seen], flush_every=3)
    for step in range(1, 8):
        journal.note(step, update())
    assert [step for step, _ in seen.learned()] == [3, 6]
    monkeypatch.setattr(journal_module, "HELD_NUMBERS", 30)
    held = Seen()
    journal = Journal([held])
    for step in range(1, 8):
        journal.note(step, update())
    assert [step for step, _ in held.learned()] == [3, 6]


def test_multi_label_targets_and_single_precision_are_settled_exactly_as_update_by_update() -> None:
    torch.manual_seed(0)
    seen = Seen()
    journal = Journal([seen])
    pairs = [(torch.randn(5, 2), torch.randn(5, 2)) for _ in range(4)]
    explained = Explained(variance=2.0)
    for step, (outputs, targets) in enumerate(pairs, start=1):
        loss = (outputs - targets).square().mean()
        journal.note(step, Update(0, loss, outputs, targets, explained.per_sample))
    journal.close()
    ((_, block),) = seen.learned()
    for score, mean_loss, (outputs, targets) in zip(block.scores, block.losses, pairs, strict=True):
        assert score == pytest.approx(explained.per_sample(outputs, targets).mean().item(), rel=5e-6)
        assert mean_loss == pytest.approx((outputs - targets).square().mean().item(), rel=5e-6)


def test_a_failing_subscriber_is_named_once_and_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    seen, broken = Seen(), Broken(RuntimeError("no network"))
    journal = Journal([broken, seen])
    for step in range(3):
        journal.note(step, TaskEntered("A", step))
    journal.close()
    assert len(seen.records) == 3
    assert broken.calls == 1
    told = capsys.readouterr().err
    assert told.count("Broken failed") == 1
    assert "no network" in told


def test_losing_the_source_of_truth_stops_the_run_and_still_closes_the_others(tmp_path: Path) -> None:
    log, seen = EventLog(tmp_path / "events.jsonl"), Seen()
    journal = Journal([seen, log])
    journal.note(0, TaskEntered("A", 0))
    log.close()
    with pytest.raises(RecordLost):
        journal.note(1, TaskEntered("B", 1))
    lost = Broken(RecordLost("gone"))
    with pytest.raises(RecordLost, match="gone"):
        Journal([lost, seen]).close()
    assert seen.closed == 1


def test_noting_an_update_costs_a_microsecond_and_settling_256_two_milliseconds() -> None:
    torch.set_num_threads(1)
    updates = [update(samples=32) for _ in range(256)]
    noting, settling = [], []
    for _ in range(15):
        journal = Journal([Seen()], flush_every=1000)
        start = time.perf_counter()
        for step, item in enumerate(updates):
            journal.note(step, item)
        middle = time.perf_counter()
        journal.flush()
        settling.append(time.perf_counter() - middle)
        noting.append((middle - start) / len(updates))
    # Measured 0.2 us and 1 ms on one core of a laptop; the slack is for busy machines.
    assert min(noting) < 2e-6
    assert min(settling) < 6e-3


def test_flush_every_must_be_positive() -> None:
    with pytest.raises(ValueError, match="flush_every"):
        Journal([], flush_every=0)
