"""Joint training draws from samples, not from batches, and parts only what has heads of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from lifelong.events import Event, Update
from lifelong.experience import Batch
from lifelong.network import Mlp
from lifelong.objective import Classification, Contract
from lifelong.optimizer import Optimizer
from lifelong_agents.finetune import Finetune
from lifelong_agents.joint import Joint

SMALL, FAST = Mlp((4,)), Optimizer(lr=1e-2)


def numbered(rows: range, contract: Contract, task: str | None = None) -> Batch:
    """Samples that are known by their numbers."""
    inputs = torch.tensor(rows, dtype=torch.float32)[:, None].expand(-1, 6).contiguous()
    return Batch(inputs, torch.zeros(len(rows), dtype=torch.int64), contract, task)


def rehearsed(monkeypatch: pytest.MonkeyPatch, batches: list[Batch], draws: int) -> list[Batch]:
    """So many batches that joint training rehearses once it has seen these."""
    learned: list[Batch] = []
    first, joint, taught = Joint(SMALL, FAST), Joint(SMALL, FAST, rehearsals=draws), Finetune.learn
    for batch in batches:
        first.learn(batch)
    joint.load_state_dict(first.state_dict())

    def noted(self: Finetune, batch: Batch) -> Sequence[Update | Event]:
        learned.append(batch)
        return taught(self, batch)

    monkeypatch.setattr(Finetune, "learn", noted)
    joint.learn(batches[-1])
    return learned[:-1]


def test_joint_draws_every_sample_alike_however_its_batch_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = Contract((6,), 2, Classification())
    batches = [*(numbered(range(at, at + 16), contract) for at in range(0, 64, 16)), numbered(range(64, 65), contract)]
    batches.append(numbered(range(65, 81), contract))
    draws = torch.cat([batch.inputs[:, 0] for batch in rehearsed(monkeypatch, batches, 250)]).long()
    counts = draws.bincount(minlength=81).float()
    # 250 draws of 16 out of 81.
    assert counts.sum() == 4000
    assert 25 < counts[64] < 80
    assert counts.min() > 20


@pytest.mark.parametrize(("own_head", "together"), [(False, True), (True, False)])
def test_joint_keeps_tasks_apart_where_their_heads_are(
    monkeypatch: pytest.MonkeyPatch, own_head: bool, together: bool
) -> None:
    contract = Contract((6,), 2, Classification(), own_head=own_head)
    batches = [numbered(range(16), contract, "A"), numbered(range(16, 32), contract, "B")]
    drawn = rehearsed(monkeypatch, batches, 20)
    assert all((len(batch.targets) == 16) == together for batch in drawn)
    if not together:
        assert all(((batch.inputs[:, 0] < 16) == (batch.task == "A")).all() for batch in drawn)
