"""What a step is not about: heads of other tasks, parameters that are added, set free or frozen."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lifelong.experience import Batch
from lifelong.objective import Classification, Contract
from lifelong.retention.agem import Agem
from lifelong.retention.ewc import Ewc
from lifelong.retention.gem import Gem
from lifelong.retention.l2 import L2
from lifelong.retention.lwf import Lwf
from lifelong.retention.mas import Mas
from lifelong.retention.method import Retention
from lifelong.retention.model import Model
from lifelong.retention.prd import Prd
from lifelong.retention.quadratic import Quadratic
from lifelong.retention.retained import Retained
from lifelong.retention.si import Si
from lifelong.retention.zscl import Zscl

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")

OWN = Contract((8,), 2, Classification(), own_head=True)


class Headed(nn.Module):
    def __init__(self, heads: str = "AB") -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(16, 2) for name in heads})

    def forward(self, inputs: Tensor, task: str) -> Tensor:
        outputs: Tensor = self.heads[task](self.trunk(inputs))
        return outputs


def headed(*methods: Retention, heads: str = "AB") -> tuple[Headed, Retained]:
    torch.manual_seed(0)
    module = Headed(heads)
    return module, Retained(Model(module, extras=lambda contract, task: (task,)), methods)


def batch(task: str, seed: int, size: int = 16) -> Batch:
    inputs = torch.randn(size, 8, generator=torch.Generator().manual_seed(seed))
    return Batch(inputs, (inputs[:, ord(task) - ord("A")] > 0).long(), OWN, task)


def step(module: nn.Module, retained: Retained, optimizer: torch.optim.Optimizer, shown: Batch) -> None:
    optimizer.zero_grad()
    retained.step(optimizer, shown, module(shown.inputs, shown.task))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("method", [Ewc(), Ewc(form="separate"), Mas(), Si()])
def test_penalties_leave_the_head_of_an_old_task_to_itself(method: Retention, fused: bool) -> None:
    module, retained = headed(method)
    optimizer = torch.optim.AdamW(module.parameters(), 1e-2, weight_decay=0.1, fused=fused)
    for seed in range(20):
        step(module, retained, optimizer, batch("A", seed))
    retained.consolidate([batch("A", 50, 100)])
    before = [p.detach().clone() for p in module.heads["A"].parameters()]
    for seed in range(20):
        step(module, retained, optimizer, batch("B", seed))
        assert all(p.grad is None for p in module.heads["A"].parameters())
    assert all(torch.equal(p, was) for p, was in zip(module.heads["A"].parameters(), before, strict=True))
    # Whatever moves it: from then on it is drawn back, by steps about another task too.
    weight, importance = module.heads["A"].weight, retained.keepers[0].penalty.weights["heads.A.weight"]  # type: ignore[attr-defined]
    with torch.no_grad():
        weight += 1.0
    step(module, retained, optimizer, batch("B", 99))
    assert weight.grad is not None
    assert torch.equal(weight.grad > 0, importance > 0)


def test_a_fused_step_is_a_movement_too() -> None:
    """It leaves the version of a tensor as it was."""
    kept, p = Quadratic(), nn.Parameter(torch.zeros(2))
    kept.add({"p": torch.ones(2)}, {"p": torch.zeros(2)})
    kept.pull({"p": p}, 1.0)
    assert p.grad is None
    p.grad = torch.ones(2)
    kept.pull({"p": p}, 1.0)
    torch.optim.SGD([p], 0.1, fused=True).step()
    p.grad = None
    kept.pull({"p": p}, 1.0)
    assert p.grad is not None
    torch.testing.assert_close(p.grad, torch.full((2,), -0.1))


@pytest.mark.parametrize("method", [Agem(20), Gem(20)])
def test_projections_leave_it_alone_where_the_old_task_is_not_in_the_way(method: Retention) -> None:
    module, retained = headed(method)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    for seed in range(20):
        step(module, retained, optimizer, batch("A", seed))
    retained.consolidate([batch("A", 50, 100)])
    free = 0
    for seed in range(20):
        # The same question to another head: what the trunk learns for one serves the other.
        shown = batch("A", seed)
        before = module.heads["A"].weight.detach().clone()
        step(module, retained, optimizer, Batch(shown.inputs, shown.targets, OWN, "B"))
        moved = not torch.equal(module.heads["A"].weight, before)
        assert moved == (module.heads["A"].weight.grad is not None)
        free += not moved
    assert free > 0


@pytest.mark.parametrize("method", [Si(), L2(), Zscl(every=2), Mas()])
def test_what_is_set_free_or_frozen_is_noticed(method: Retention) -> None:
    torch.manual_seed(0)
    module = Headed("A")
    first = module.trunk[0]
    first.weight.requires_grad_(False)
    retained = Retained(Model(module, extras=lambda contract, task: (task,)), [method])
    for frozen in (True, False, True):
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        first.weight.requires_grad_(not frozen)
        before = first.weight.detach().clone()
        for seed in range(5):
            step(module, retained, optimizer, batch("A", seed))
        retained.consolidate([batch("A", 7)])
        assert torch.equal(first.weight, before) == frozen


def test_prd_takes_features_of_then_where_a_head_was_added_since() -> None:
    grown, whole = headed(Prd(beta=5.0), heads="A"), headed(Prd(beta=5.0))
    whole[0].load_state_dict({**whole[0].state_dict(), **grown[0].state_dict()})
    losses = []
    for module, retained in (grown, whole):
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        for seed in range(5):
            step(module, retained, optimizer, batch("A", seed))
        retained.consolidate([batch("A", 7)])
        if "B" not in module.heads:
            module.heads["B"] = nn.Linear(16, 2)
            module.heads["B"].load_state_dict(whole[0].heads["B"].state_dict())
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        for seed in range(3):
            step(module, retained, optimizer, batch("B", seed))
        shown = batch("B", 9)
        losses.append(retained.loss(shown, module(shown.inputs, "B")).detach())
    assert torch.equal(*losses)


@pytest.mark.parametrize("method", [Lwf(), Zscl(), Prd()])
def test_a_copy_of_then_takes_no_more_room_after_it_was_put_away(method: Retention) -> None:
    module, retained = headed(method, heads="A")
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    step(module, retained, optimizer, batch("A", 0))
    retained.consolidate([batch("A", 1)])
    module.heads["B"] = nn.Linear(16, 2)
    state = retained.state_dict()
    other = Retained(Model(module, extras=lambda contract, task: (task,)), [method])
    other.load_state_dict(state)
    assert other.stored() == retained.stored()
    shown = batch("A", 2)
    torch.manual_seed(0)
    one, two = (r.loss(shown, module(shown.inputs, "A")).detach() for r in (retained, other))
    assert torch.equal(one, two)
    assert other.state_dict()["keepers"][0]["then"].keys() == state["keepers"][0]["then"].keys()
