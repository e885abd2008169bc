"""A-GEM and GEM against the inequalities that they promise, and GEM against another solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toys import batches

from lifelong.retention.agem import Agem
from lifelong.retention.gem import Gem, nearest_permitted
from lifelong.retention.gradients import gradients
from lifelong.retention.model import Model
from lifelong.retention.retained import Retained

pytestmark = pytest.mark.usefixtures("one_thread_and_a_seed")


def test_the_nearest_permitted_gradient_is_what_another_solver_finds() -> None:
    from scipy.optimize import minimize

    for seed in range(20):
        random = torch.Generator().manual_seed(seed)
        old, new = torch.randn(4, 9, generator=random), torch.randn(9, generator=random)
        ours = nearest_permitted(new, old).double().numpy()
        g, rows = new.double().numpy(), old.double().numpy()
        found = minimize(
            lambda x, g=g: ((x - g) ** 2).sum(),
            g,
            constraints={"type": "ineq", "fun": lambda x, rows=rows: rows @ x},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert np.allclose(ours, found.x, atol=1e-4)
        assert (rows @ ours > -1e-5).all()


def test_what_is_permitted_is_left_alone_and_copies_of_a_task_do_no_harm() -> None:
    new = torch.tensor([1.0, 1.0, 0.0])
    assert nearest_permitted(new, torch.eye(3)) is new
    old = torch.tensor([[-1.0, 0.0, 0.0]]).expand(3, 3)
    assert torch.allclose(nearest_permitted(new, old), torch.tensor([0.0, 1.0, 0.0]), atol=1e-4)


def test_gradients_that_are_alike_or_of_unlike_size_are_all_heeded() -> None:
    for seed in range(30):
        random = torch.Generator().manual_seed(seed)
        base = torch.randn(400, generator=random)
        for noise in (1e-6, 1e-5, 1e-4, 1e-2):
            old = base + noise * torch.randn(5, 400, generator=random)
            found = nearest_permitted(-base + torch.randn(400, generator=random), old, margin=0.5)
            assert float((old @ found).min()) > -1e-2 * float(base.norm() * found.norm())
        small = torch.cat([old[:1], 1e-5 * torch.randn(1, 400, generator=random)])
        found = nearest_permitted(torch.randn(400, generator=random) - small.sum(0) - 1e5 * small[1], small)
        products = small @ found / small.norm(dim=1) / found.norm()
        assert float(products.min()) > -1e-3


def test_a_margin_favours_old_tasks() -> None:
    new, old = torch.tensor([1.0, 1.0]), torch.tensor([[-1.0, 0.0]])
    assert torch.allclose(nearest_permitted(new, old, margin=0.5), torch.tensor([0.0, 1.0]), atol=1e-4)
    assert torch.allclose(nearest_permitted(new, old, margin=1.5), torch.tensor([-0.5, 1.0]), atol=1e-4)


def bent(method: Agem | Gem) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The gradient of a new batch before and after, and those of each old task's memory."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 6))
    retained = Retained(Model(model), [method])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for task in (0, 1):
        for batch in batches(task, 40):
            optimizer.zero_grad()
            retained.step(optimizer, batch, model(batch.inputs))
        retained.consolidate(batches(task, 5))
    (batch,) = batches(2, 1, size=64)
    optimizer.zero_grad()
    retained.loss(batch, model(batch.inputs)).backward()
    before = torch.cat([p.grad.flatten().clone() for p in model.parameters() if p.grad is not None])
    retained.bend(optimizer)
    after = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    memory = retained.keepers[0]._memory  # type: ignore[attr-defined]
    return before, after, [gradients(Model(model), memory.draw(None, task)) for task in (0, 1)]


def test_gem_raises_no_old_loss() -> None:
    before, after, old = bent(Gem(capacity=100, margin=0.0))
    assert min(float(before @ task) for task in old) < -1e-3
    assert min(float(after @ task) for task in old) > -1e-4
    assert float(after @ before) > 0


def test_agem_does_not_raise_the_mean_of_old_losses() -> None:
    before, after, old = bent(Agem(capacity=100, batch_size=1000))
    mean = (old[0] + old[1]) / 2
    assert float(before @ mean) < -1e-3
    assert float(after @ mean) == pytest.approx(0.0, abs=1e-5)
    assert torch.allclose(after, before - (before @ mean) / (mean @ mean) * mean, atol=1e-5)
