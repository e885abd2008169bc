"""Samples of several tasks that one head answers: the same numbers, whether their tasks are told or not."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from toys import CONTRACT, batches

from lifelong.experience import Batch
from lifelong.objective import Contract, Regression
from lifelong.retention.agem import Agem
from lifelong.retention.der import Der
from lifelong.retention.er import Er
from lifelong.retention.er_ace import ErAce
from lifelong.retention.gem import Gem
from lifelong.retention.method import Retention
from lifelong.retention.model import Model
from lifelong.retention.nearest_mean import NearestMeanHead
from lifelong.retention.retained import Retained
from lifelong.retention.zscl import Zscl

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

OWN = replace(CONTRACT, own_head=True)


def normed() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 6))


class Heads(nn.Module):
    """A trunk with a BatchNorm, and a head for each of two tasks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.trunk = nn.Sequential(nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU())
        self.heads = nn.ModuleDict({"A": nn.Linear(12, 6), "B": nn.Linear(12, 6)})

    def forward(self, inputs: Tensor, task: str) -> Tensor:
        outputs: Tensor = self.heads[task](self.trunk(inputs))
        return outputs


def told(shown: Sequence[Batch]) -> list[Batch]:
    return [replace(batch, task="AB"[number % 2]) for number, batch in enumerate(shown)]


@pytest.mark.parametrize("method", [Er(40), ErAce(40), Der(40)])
def test_replay_through_a_batch_norm_is_the_same_whether_tasks_are_told(method: Retention) -> None:
    shown, found = batches(1, 6), []
    for taught in (shown, told(shown)):
        module = normed()
        retained = Retained(module, [method])
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        for batch in taught:
            optimizer.zero_grad()
            retained.step(optimizer, batch, module(batch.inputs))
        found.append(module.state_dict())
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-5) for name in found[0])


def test_a_head_is_asked_once_about_all_that_tasks_allow_of_it() -> None:
    module, (first, second, new) = normed(), batches(1, 3)
    masks = [(0, 1, 2), (3, 4, 5)]
    old = [
        Batch(b.inputs, b.targets % 3 + m[0], replace(CONTRACT, mask=m), t)
        for b, m, t in zip((first, second), masks, "AB", strict=True)
    ]
    retained = Retained(module, [Er(40, batch_size=32)])
    for batch in old:
        retained.observe(batch, module(batch.inputs).detach())
    outputs = module(new.inputs)
    before = copy.deepcopy(module)
    term = retained.loss(new, outputs) - F.cross_entropy(outputs, new.targets)
    parts = before(torch.cat([batch.inputs for batch in old])).split(16)
    by_hand = [F.cross_entropy(p[:, m], b.targets % 3) for p, m, b in zip(parts, masks, old, strict=True)]
    assert float(term.detach()) == pytest.approx(float(torch.stack(by_hand).mean().detach()), abs=1e-5)
    # Both passed the norm together, so that it took notice once.
    assert int(module[1].num_batches_tracked) == int(before[1].num_batches_tracked)


@pytest.mark.parametrize("method", [Er(1), ErAce(1), Der(1), NearestMeanHead(1), Agem(1), Gem(1)])
def test_a_sample_that_is_alone_of_its_kind_passes_a_batch_norm(method: Retention) -> None:
    module = Heads()
    retained = Retained(Model(module, extras=lambda contract, task: (task,)), [method])
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    old, new = (replace(batch, contract=OWN, task=task) for batch, task in zip(batches(1, 2), "AB", strict=True))
    for batch in (old, new, new):
        before = module.trunk[1].running_mean.clone()
        optimizer.zero_grad()
        retained.step(optimizer, batch, module(batch.inputs, batch.task or ""))
        if batch is old:
            retained.consolidate([batch])
        # It learned from a batch that has statistics, and from that alone.
        assert module.trunk[1].training
        assert not torch.equal(module.trunk[1].running_mean, before)
    assert int(module.trunk[1].num_batches_tracked) == 3
    assert all(bool(p.isfinite().all()) for p in module.parameters())


def test_the_nearest_mean_of_a_shared_head_is_among_all_classes() -> None:
    module, shown = normed().eval(), batches(1, 10)
    query = torch.randn(7, 16)
    said = []
    for taught in (shown, told(shown)):
        retained = Retained(module, [NearestMeanHead(60)])
        for batch in taught:
            retained.observe(batch, module(batch.inputs).detach())
        said.append(retained.predict(query, CONTRACT, "B"))
    # As many of each class are kept of each task where that is told: the means are others, and near.
    assert said[0].argmax(1).tolist() == said[1].argmax(1).tolist()
    assert float(said[1].min()) > -2


def test_heads_of_their_own_have_means_of_their_own() -> None:
    module = Heads().eval()
    retained = Retained(Model(module, extras=lambda contract, task: (task,)), [NearestMeanHead(60)])
    (batch,) = batches(1, 1)
    retained.observe(Batch(batch.inputs, batch.targets % 2, OWN, "A"), torch.zeros(16, 6))
    retained.observe(Batch(batch.inputs, batch.targets % 2 + 2, OWN, "B"), torch.zeros(16, 6))
    answers = {task: retained.predict(batch.inputs, OWN, task).argmax(1) for task in "AB"}
    assert int(answers["A"].max()) < 2 <= int(answers["B"].min())


def test_tasks_without_classes_are_answered_by_the_network() -> None:
    module, (batch,) = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 6)), batches(1, 1)
    retained = Retained(module, [NearestMeanHead(60)])
    numbers = Contract((16,), 6, Regression())
    retained.observe(batch, module(batch.inputs).detach())
    retained.observe(Batch(batch.inputs, torch.randn(16, 6), numbers), module(batch.inputs).detach())
    assert torch.equal(retained.predict(batch.inputs, numbers), module(batch.inputs))
    assert not torch.equal(retained.predict(batch.inputs, CONTRACT), module(batch.inputs))


def test_means_are_of_the_weights_that_a_task_ends_with() -> None:
    torch.manual_seed(1)
    module, (first, second) = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 6)), batches(1, 2)
    retained = Retained(module, [NearestMeanHead(60), Zscl(every=1)])
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    for batch in (first, second):
        for _ in range(3):
            optimizer.zero_grad()
            retained.step(optimizer, batch, module(batch.inputs))
        weights = module[0].weight.detach().clone()
        retained.predict(first.inputs, CONTRACT)
        retained.consolidate([batch])
    assert not torch.equal(module[0].weight, weights)
    said = retained.predict(first.inputs, CONTRACT)
    fresh = Retained(module, [NearestMeanHead(60), Zscl(every=1)])
    fresh.load_state_dict(retained.state_dict())
    assert torch.equal(fresh.predict(first.inputs, CONTRACT), said)


@pytest.mark.parametrize("inside", [(True, True), (True, False), (False, True)])
def test_means_answer_inside_of_autocast_and_outside(inside: tuple[bool, bool]) -> None:
    module, (batch,) = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 6)), batches(1, 1)
    retained = Retained(module, [NearestMeanHead(60)])
    retained.observe(batch, module(batch.inputs).detach())
    exact = retained.predict(batch.inputs, CONTRACT)
    retained.consolidate([batch])
    for enabled in inside:
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            said = retained.predict(batch.inputs, CONTRACT)
        assert said.dtype == torch.float32
        assert torch.allclose(said[:, :5], exact[:, :5], atol=0.05)
