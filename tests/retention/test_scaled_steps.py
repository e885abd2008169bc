"""Steps by hand: losses that are scaled, steps that are left out, gradients of parts, states kept in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from toys import batches

from lifelong.experience import Batch
from lifelong.retention.agem import Agem
from lifelong.retention.ewc import Ewc
from lifelong.retention.gem import Gem
from lifelong.retention.l2 import L2
from lifelong.retention.lwf import Lwf
from lifelong.retention.mas import Mas
from lifelong.retention.method import Retention
from lifelong.retention.prd import Prd
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")


def made(method: Retention, adam: bool = False) -> tuple[nn.Sequential, Retained, torch.optim.Optimizer]:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 6))
    chosen = torch.optim.Adam(module.parameters(), 1e-2) if adam else torch.optim.SGD(module.parameters(), 0.05)
    return module, Retained(module, [method]), chosen


def scaled(
    module: nn.Module,
    retained: Retained,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    batch: Batch,
    factor: float = 1.0,
) -> None:
    optimizer.zero_grad()
    outputs = module(batch.inputs)
    scaler.scale(factor * retained.loss(batch, outputs)).backward()
    scaler.unscale_(optimizer)
    retained.bend(optimizer)
    scaler.step(optimizer)
    scaler.update()
    retained.observe(batch, outputs.detach())
    retained.restart(optimizer)


@pytest.mark.parametrize("method", [Si(), Si(scale="path"), Prd(), Ewc()])
def test_a_step_that_is_left_out_leaves_nothing_behind(method: Retention) -> None:
    module, retained, optimizer = made(method)
    scaler = torch.amp.GradScaler("cpu")
    taught = batches(1, 6)
    for number, batch in enumerate(taught):
        scaled(module, retained, optimizer, scaler, batch, float("inf") if number == 2 else 1.0)
    retained.consolidate(taught)
    for batch in batches(2, 3):
        scaled(module, retained, optimizer, scaler, batch)
    assert all(bool(p.isfinite().all()) for p in module.parameters())
    assert all(bool(t.isfinite().all()) for t in retained.tensors())
    if isinstance(method, Si):
        weights = retained.keepers[0].penalty.weights  # type: ignore[attr-defined]
        # As if that batch had not come.
        again, kept, steps = made(method)
        for batch in taught[:2] + taught[3:]:
            steps.zero_grad()
            kept.step(steps, batch, again(batch.inputs))
        kept.consolidate(taught)
        torch.testing.assert_close(weights, kept.keepers[0].penalty.weights)  # type: ignore[attr-defined]


def test_prototypes_step_as_they_do_without_a_scale() -> None:
    found = []
    for scale in (1.0, 2.0**16):
        module, retained, optimizer = made(Prd())
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        for task in (1, 2):
            for batch in batches(task, 5):
                scaled(module, retained, optimizer, scaler, batch)
            retained.consolidate(batches(task, 2))
        (group,) = retained.keepers[0].groups.values()  # type: ignore[attr-defined]
        found.append([group.values.detach(), *(p.detach() for p in module.parameters())])
    torch.testing.assert_close(*found)


def by_parts(parts: int) -> Callable[[nn.Module, Retained, torch.optim.Optimizer, Batch], None]:
    def step(module: nn.Module, retained: Retained, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
        optimizer.zero_grad()
        answers = []
        for inputs, targets in zip(batch.inputs.split(parts), batch.targets.split(parts), strict=True):
            outputs = module(inputs)
            share = len(targets) / len(batch.targets)
            (share * retained.loss(Batch(inputs, targets, batch.contract), outputs)).backward()
            answers.append(outputs.detach())
        retained.bend(optimizer)
        optimizer.step()
        retained.observe(batch, torch.cat(answers))
        retained.restart(optimizer)

    return step


@pytest.mark.parametrize("method", [Ewc(300.0), Si(), Mas(), L2(0.1), Lwf(), Agem(40, 40), Gem(40)])
def test_gradients_of_parts_by_their_shares_are_those_of_the_whole_batch(method: Retention) -> None:
    found = []
    for size in (16, 5):
        module, retained, optimizer = made(method, adam=True)
        for task in (1, 2):
            for batch in batches(task, 20):
                by_parts(size)(module, retained, optimizer, batch)
            retained.consolidate(batches(task, 2))
        found.append([p.detach() for p in module.parameters()])
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", [Ewc(), Ewc(form="separate"), Si(), Mas()])
def test_a_state_in_memory_is_what_it_was_when_it_was_taken(method: Retention) -> None:
    module, retained, optimizer = made(method)
    for batch in batches(1, 3):
        optimizer.zero_grad()
        retained.step(optimizer, batch, module(batch.inputs))
    retained.consolidate(batches(1, 2))
    state = retained.state_dict()
    before = copy.deepcopy(state)
    for batch in batches(2, 3):
        optimizer.zero_grad()
        retained.step(optimizer, batch, module(batch.inputs))
    retained.consolidate(batches(2, 2))
    torch.testing.assert_close(state["keepers"], before["keepers"], rtol=0.0, atol=0.0)
